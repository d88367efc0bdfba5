import {
  JobAccepted,
  ReconcileReport,
  RepositoryParams,
  RepositoryRebuild,
  RepositoryReconcile,
} from '../../../contract/index.js';
import { withDeadline } from '../../../shared/abort.js';
import { acceptRebuild, acceptReconcile } from '../../accept/index.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { idempotencyOf } from '../idempotency.js';
import { toReconcileReport } from '../views/repository.js';

const tags = ['repositories'];
const PATH = `${API_PREFIX}/repositories/:id`;
/** A comparison looks at every name of a repository, which a slow network file system takes long for; Node.js's fetch waits 300 s. */
const DEADLINE_MS = 280_000;

/** Keeping catalogue and files in line. To compare them, this host must have the repository mounted. */
export function upkeepRoutes(app: Api, deps: HttpDeps): void {
  app.post(
    `${PATH}/reconcile`,
    {
      schema: {
        tags,
        summary: 'Compare catalogue and files',
        description:
          'Unknown files are set aside, never deleted; backups whose image is gone are marked. A job for each chain does it; a dry run only tells.',
        params: RepositoryParams,
        body: RepositoryReconcile,
        response: { 200: ReconcileReport, 202: ReconcileReport },
      },
      config: { access: 'admin', ownKey: true },
    },
    async (request, reply) => {
      const dryRun = request.body.dry_run ?? false;
      const report = await withinDeadline('The comparison', (signal) =>
        acceptReconcile(deps, { repositoryId: request.params.id, dryRun, signal }, idempotencyOf(request)),
      );
      return reply.code(dryRun ? 200 : 202).send(toReconcileReport(report));
    },
  );
  app.post(
    `${PATH}/rebuild`,
    {
      schema: {
        tags,
        summary: 'Rebuild the catalogue from the files',
        description:
          'Takes in every backup that has a valid manifest and an image. Rows that exist are left as they are, and no file is touched. A job of a maintenance worker does it, also where it is a dry run: its `result` is the report. While such a job is open, it is the answer to further requests.',
        params: RepositoryParams,
        body: RepositoryRebuild,
        response: { 202: JobAccepted },
      },
      config: { access: 'admin', ownKey: true },
    },
    async (request, reply) => {
      const wanted = { repositoryId: request.params.id, dryRun: request.body.dry_run ?? false };
      const accepted = await acceptRebuild(deps, wanted, idempotencyOf(request));
      reply.header('location', `${API_PREFIX}/jobs/${accepted.job_id}`);
      return reply.code(202).send(accepted);
    },
  );
}

async function withinDeadline<T>(what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const deadline = withDeadline(undefined, DEADLINE_MS, what);
  try {
    return await work(deadline.signal);
  } finally {
    deadline.clear();
  }
}
