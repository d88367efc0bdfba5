import {
  RestorePointPage,
  RestorePointParams,
  RestorePointQuery,
  RestorePointWithBackups,
} from '../../../contract/index.js';
import { backupsOfPoint } from '../../../db/chain/backups.js';
import { getRestorePoint, listRestorePoints } from '../../../db/chain/restorePoints.js';
import { pageRequest, toPage } from '../cursor.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { toBackup } from '../views/backup.js';
import { toRestorePoint } from '../views/restorePoint.js';

const tags = ['restore points'];
const PATH = `${API_PREFIX}/restore-points`;

/** All disks of a VM at one instant. */
export function restorePointRoutes(app: Api, deps: HttpDeps): void {
  app.get(
    PATH,
    {
      schema: {
        tags,
        summary: 'List restore points, newest first',
        querystring: RestorePointQuery,
        response: { 200: RestorePointPage },
      },
      config: { access: 'viewer' },
    },
    async ({ query }) => {
      const vmContextId = query.vm_context_id;
      const page = pageRequest(query, vmContextId === undefined ? 'id' : 'time');
      return toPage(await listRestorePoints(deps.ds, { vmContextId }, page), toRestorePoint);
    },
  );
  app.get(
    `${PATH}/:id`,
    {
      schema: {
        tags,
        summary: 'Read a restore point with its backups',
        params: RestorePointParams,
        response: { 200: RestorePointWithBackups },
      },
      config: { access: 'viewer' },
    },
    async ({ params }) => {
      const point = await getRestorePoint(deps.ds, params.id);
      const backups = await backupsOfPoint(deps.ds, params.id);
      return { ...toRestorePoint(point), backups: backups.map(toBackup) };
    },
  );
}
