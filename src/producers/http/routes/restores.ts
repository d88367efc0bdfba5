import {
  CancelResult,
  Restore,
  RestoreAccepted,
  RestoreCreate,
  RestorePage,
  RestoreParams,
  RestoreQuery,
  NoBody,
} from '../../../contract/index.js';
import { getRestore, listRestores } from '../../../db/job/restores.js';
import { cancel, acceptRestore } from '../../accept/index.js';
import { pageRequest, toPage } from '../cursor.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { idempotencyOf } from '../idempotency.js';
import { toRestore } from '../views/restore.js';
import { lookForWaiting } from '../waiting.js';

const tags = ['restores'];
const PATH = `${API_PREFIX}/restores`;

/** Backups written to a file or a block device. */
export function restoreRoutes(app: Api, deps: HttpDeps): void {
  app.post(
    PATH,
    {
      schema: { tags, summary: 'Restore a backup', body: RestoreCreate, response: { 202: RestoreAccepted } },
      config: { access: 'operator', ownKey: true },
    },
    async (request, reply) => {
      const accepted = await acceptRestore(deps, request.body, idempotencyOf(request));
      return reply.code(202).header('location', `${PATH}/${accepted.restore_id}`).send(accepted);
    },
  );
  app.get(
    PATH,
    {
      schema: {
        tags,
        summary: 'List restores, newest first',
        querystring: RestoreQuery,
        response: { 200: RestorePage },
      },
      config: { access: 'viewer' },
    },
    async ({ query }) => {
      const filter = { backupId: query.backup_id, status: query.status };
      const page = await listRestores(deps.ds, filter, pageRequest(query, 'id'));
      const waiting = await lookForWaiting(deps, 'restore', page.rows);
      return toPage(page, (row) => ({ ...toRestore(row), ...waiting(row.id) }));
    },
  );
  app.get(
    `${PATH}/:id`,
    {
      schema: { tags, summary: 'Read a restore', params: RestoreParams, response: { 200: Restore } },
      config: { access: 'viewer' },
    },
    async ({ params }) => {
      const row = await getRestore(deps.ds, params.id);
      const waiting = await lookForWaiting(deps, 'restore', [row]);
      return { ...toRestore(row), ...waiting(row.id) };
    },
  );
  cancelRoute(app, deps);
}

function cancelRoute(app: Api, deps: HttpDeps): void {
  app.post(
    `${PATH}/:id/cancel`,
    {
      schema: {
        tags,
        summary: 'Cancel a restore',
        params: RestoreParams,
        body: NoBody,
        response: { 200: CancelResult },
      },
      config: { access: 'operator' },
    },
    async ({ params }) => cancel(deps, params.id),
  );
}
