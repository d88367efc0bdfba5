import { CancelResult, Job, JobParams, NoBody } from '../../../contract/index.js';
import { getJob } from '../../../db/job/list.js';
import { cancel } from '../../accept/index.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { toJob } from '../views/job.js';
import { lookForWaiting } from '../waiting.js';

/** Jobs of any kind. */
export function jobRoutes(app: Api, deps: HttpDeps): void {
  app.get(
    `${API_PREFIX}/jobs/:id`,
    {
      schema: {
        tags: ['jobs'],
        summary: 'Read a backup, a validation or a restore as a job, with its progress',
        params: JobParams,
        response: { 200: Job },
      },
      config: { access: 'viewer' },
    },
    async ({ params }) => {
      const job = await getJob(deps.ds, params.id);
      const waiting = await lookForWaiting(deps, job.kind, [job]);
      return { ...toJob(job), ...waiting(job.id) };
    },
  );
  app.post(
    `${API_PREFIX}/jobs/:id/cancel`,
    {
      schema: {
        tags: ['jobs'],
        summary: 'Cancel a job of any kind',
        description:
          'A waiting job is cancelled at once. A running one is asked to stop, which its worker notices within STRATA_LEASE_RENEW_MS: it is `cancelled` when nothing of it is left.',
        params: JobParams,
        body: NoBody,
        response: { 200: CancelResult },
      },
      config: { access: 'operator' },
    },
    async ({ params }) => cancel(deps, params.id),
  );
}
