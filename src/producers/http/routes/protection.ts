import {
  Backup,
  BackupParams,
  Protection,
  RestorePointParams,
  RestorePointWithBackups,
} from '../../../contract/index.js';
import { backupsOfPoint, getBackup } from '../../../db/chain/backups.js';
import { getRestorePoint } from '../../../db/chain/restorePoints.js';
import { acceptProtection } from '../../accept/index.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { readFuture } from '../instant.js';
import { toBackup } from '../views/backup.js';
import { toRestorePoint } from '../views/restorePoint.js';

/** A hold that can be lifted is as strong as the token that may lift it. */
const config = { access: 'admin' } as const;

/** Protection from removal until a date, by policies and by people. */
export function protectionRoutes(app: Api, deps: HttpDeps): void {
  const untilOf = ({ protected_until: text }: Protection) =>
    text === null ? null : readFuture(text, 'protected_until', deps.clock.now());
  app.patch(
    `${API_PREFIX}/backups/:backup_id`,
    {
      schema: {
        tags: ['backups'],
        summary: 'Protect a backup from removal until a date',
        params: BackupParams,
        body: Protection,
        response: { 200: Backup },
      },
      config,
    },
    async ({ params, body }) => {
      const { backup } = await getBackup(deps.ds, params.backup_id);
      const what = { column: 'id', id: backup.id, repositoryId: backup.repositoryId } as const;
      await acceptProtection(deps, what, untilOf(body));
      return toBackup(await getBackup(deps.ds, params.backup_id));
    },
  );
  app.patch(
    `${API_PREFIX}/restore-points/:id`,
    {
      schema: {
        tags: ['restore points'],
        summary: 'Protect the backups of all disks of a restore point from removal until a date',
        params: RestorePointParams,
        body: Protection,
        response: { 200: RestorePointWithBackups },
      },
      config,
    },
    async ({ params, body }) => {
      const point = await getRestorePoint(deps.ds, params.id);
      const what = {
        column: 'restore_point_id',
        id: params.id,
        repositoryId: point.point.repositoryId,
      } as const;
      await acceptProtection(deps, what, untilOf(body));
      const backups = await backupsOfPoint(deps.ds, params.id);
      return { ...toRestorePoint(point), backups: backups.map(toBackup) };
    },
  );
}
