import {
  Backup,
  BackupParams,
  BackupReadQuery,
  PushAnswer,
  PushComplete,
  PushFail,
  PushProgress,
} from '../../../contract/index.js';
import { getBackup } from '../../../db/chain/backups.js';
import { awaitExport, completePush, failPush, reportPush } from '../../accept/index.js';
import { mayCall } from '../access.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { toBackup, toNbdExport } from '../views/backup.js';
import { lookForWaiting } from '../waiting.js';

const tags = ['backups'];
const PATH = `${API_PREFIX}/backups/:backup_id`;

/** What agents that push ask and say, and the reading of one backup, which tells them where to write. */
export function pushRoutes(app: Api, deps: HttpDeps): void {
  const closing = new AbortController();
  app.addHook('preClose', async () => closing.abort());
  const { signal } = closing;
  app.get(
    PATH,
    {
      schema: {
        tags,
        summary: 'Read a backup, and where an agent may write it',
        params: BackupParams,
        querystring: BackupReadQuery,
        response: { 200: Backup },
      },
      config: { access: 'viewer' },
    },
    async ({ params, query, caller }) => {
      const backupId = params.backup_id;
      // The export's name is the right to write: whoever may only look is not told.
      const writes = caller !== null && mayCall(caller.role, 'operator');
      const waitMs = writes ? (query.wait_seconds ?? 0) * 1000 : 0;
      const open = await awaitExport(deps, { backupId, signal }, waitMs);
      const row = await getBackup(deps.ds, backupId);
      const waiting = await lookForWaiting(deps, 'backup', [row.backup]);
      const backup = { ...toBackup(row), ...waiting(backupId) };
      if (open === undefined) return backup;
      return { ...backup, nbd_export: open && writes ? toNbdExport(open) : null };
    },
  );
  agentRoutes(app, deps, signal);
}

function agentRoutes(app: Api, deps: HttpDeps, signal: AbortSignal): void {
  const answers = { params: BackupParams, response: { 200: PushAnswer } };
  const access = 'operator';
  app.post(
    `${PATH}/complete`,
    {
      schema: {
        ...answers,
        tags,
        summary: 'The agent has written all of the backup',
        description:
          'Answered when it is on stable storage and the export is closed. May be repeated. Refused while somebody is connected.',
        body: PushComplete,
      },
      config: { access },
    },
    async ({ params, body }) => completePush(deps, { backupId: params.backup_id, signal }, body),
  );
  app.post(
    `${PATH}/progress`,
    {
      schema: { ...answers, tags, summary: 'The agent is alive, and this far', body: PushProgress },
      config: { access },
    },
    async ({ params, body }) => reportPush(deps, params.backup_id, body),
  );
  app.post(
    `${PATH}/fail`,
    {
      schema: { ...answers, tags, summary: 'The agent has failed: so does the backup', body: PushFail },
      config: { access },
    },
    async ({ params, body }) => failPush(deps, params.backup_id, body),
  );
}
