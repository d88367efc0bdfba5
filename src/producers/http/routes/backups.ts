import {
  BACKUP_BODY_LIMIT,
  BackupAccepted,
  BackupCreate,
  BackupPage,
  BackupParams,
  BackupQuery,
  CancelResult,
  ChangeIdAnswer,
  ChangeIdQuery,
  NoBody,
} from '../../../contract/index.js';
import { listBackups } from '../../../db/chain/backups.js';
import { resolveRepository } from '../../../db/repository/repositories.js';
import { changeIdBelow } from '../../../services/chain/index.js';
import { cancel, acceptBackup } from '../../accept/index.js';
import { pageRequest, toPage } from '../cursor.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { idempotencyOf } from '../idempotency.js';
import { toBackup } from '../views/backup.js';
import { lookForWaiting } from '../waiting.js';

const tags = ['backups'];
const PATH = `${API_PREFIX}/backups`;

/** Backups: the intents, and the files that come of them. */
export function backupRoutes(app: Api, deps: HttpDeps): void {
  app.post(
    PATH,
    {
      bodyLimit: BACKUP_BODY_LIMIT,
      schema: {
        tags,
        summary: 'Back up a VM',
        description: 'One restore point, one backup per disk. With an Idempotency-Key it is accepted once.',
        body: BackupCreate,
        response: { 202: BackupAccepted },
      },
      config: { access: 'operator', ownKey: true },
    },
    async (request, reply) => {
      const accepted = await acceptBackup(deps, request.body, idempotencyOf(request));
      reply.header('location', `${API_PREFIX}/restore-points/${accepted.restore_point_id}`);
      return reply.code(202).send(accepted);
    },
  );
  app.post(
    `${PATH}/:backup_id/cancel`,
    {
      schema: {
        tags,
        summary: 'Cancel a backup',
        params: BackupParams,
        body: NoBody,
        response: { 200: CancelResult },
      },
      config: { access: 'operator' },
    },
    async ({ params }) => cancel(deps, params.backup_id),
  );
  readingRoutes(app, deps);
  changeIdRoute(app, deps);
}

function readingRoutes(app: Api, deps: HttpDeps): void {
  app.get(
    PATH,
    {
      schema: {
        tags,
        summary: 'List backups, newest first',
        querystring: BackupQuery,
        response: { 200: BackupPage },
      },
      config: { access: 'viewer' },
    },
    async ({ query }) => {
      const ref = query.repository_id;
      const filter = {
        vmName: query.vm_name,
        vmContextId: query.vm_context_id,
        repositoryId: ref === undefined ? undefined : await resolveRepository(deps.ds, ref),
        diskId: query.disk_id,
        status: query.status,
        backupType: query.backup_type,
      };
      const page = await listBackups(deps.ds, filter, pageRequest(query, 'time'));
      const waiting = await lookForWaiting(
        deps,
        'backup',
        page.rows.map(({ backup }) => backup),
      );
      return toPage(page, (row) => ({ ...toBackup(row), ...waiting(row.backup.id) }));
    },
  );
}

function changeIdRoute(app: Api, deps: HttpDeps): void {
  app.get(
    `${PATH}/changeid`,
    {
      schema: {
        tags,
        summary: "The change id of the backup that a disk's next one would stand on",
        querystring: ChangeIdQuery,
        response: { 200: ChangeIdAnswer },
      },
      config: { access: 'viewer' },
    },
    async ({ query }) => {
      const { vm_name, disk_id } = query;
      const repositoryId = await resolveRepository(deps.ds, query.repository_id);
      const disk = { repositoryId, vmName: vm_name, upstreamId: query.upstream_id ?? '', diskId: disk_id };
      const parent = await changeIdBelow(deps.ds, disk, query.backup_type ?? 'incremental');
      return { vm_name, disk_id, change_id: parent?.changeId ?? null, backup_id: parent?.backupId ?? null };
    },
  );
}
