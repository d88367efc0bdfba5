import type { DataSource } from '../../db/database.js';
import { backupsOfPoint, getBackup } from '../../db/chain/backups.js';
import { getJob } from '../../db/job/list.js';
import type { DueDelivery } from '../../db/webhook/outbox.js';
import { poolFacts } from '../../db/repository/pools.js';
import { getRestorePoint } from '../../db/chain/restorePoints.js';
import { getRestore } from '../../db/job/restores.js';
import { getPolicy } from '../../db/policy/policies.js';
import { getRun } from '../../db/policy/runs.js';
import { getRepository } from '../../db/repository/repositories.js';
import { getVm } from '../../db/vm/vms.js';
import { isStrataError } from '../../shared/errors.js';
import { escapeInvisibleJson } from '../../shared/invisible.js';
import { toBackup } from '../http/views/backup.js';
import { toJob } from '../http/views/job.js';
import { toPolicy, toPolicyRunWithVms } from '../http/views/policy.js';
import { toPool, toRepository } from '../http/views/repository.js';
import { toRestore } from '../http/views/restore.js';
import { toRestorePoint } from '../http/views/restorePoint.js';
import { toVm } from '../http/views/vm.js';

/**
 * The body of a delivery: `{id, type, occurred_at, data}`, with `data` as the API shows the subject. A subject that is gone
 * by now is named by its id alone.
 */
export async function describe(ds: DataSource, delivery: DueDelivery): Promise<string> {
  const { eventId, type, createdAt } = delivery;
  const event = {
    id: eventId,
    type,
    occurred_at: createdAt.toISOString(),
    data: await dataOf(ds, delivery),
  };
  return escapeInvisibleJson(JSON.stringify(event));
}

async function dataOf(ds: DataSource, { type, subjectId }: DueDelivery): Promise<object> {
  try {
    return await subject(ds, type.slice(0, type.indexOf('.')), subjectId);
  } catch (error) {
    if (isStrataError(error, 'not_found')) return { id: subjectId };
    throw error;
  }
}

async function subject(ds: DataSource, kind: string, id: string): Promise<object> {
  switch (kind) {
    case 'backup':
      return toBackup(await getBackup(ds, id));
    case 'restore_point': {
      const backups = await backupsOfPoint(ds, id);
      return { ...toRestorePoint(await getRestorePoint(ds, id)), backups: backups.map(toBackup) };
    }
    case 'restore':
      return toRestore(await getRestore(ds, id));
    case 'maintenance':
    case 'validation':
      return toJob(await getJob(ds, id));
    case 'vm':
      return toVm(await getVm(ds, id));
    case 'policy':
      return toPolicy(await getPolicy(ds, id));
    case 'policy_run':
      return toPolicyRunWithVms(await getRun(ds, id));
    case 'repository':
      return toRepository(await getRepository(ds, id));
    case 'pool':
      return toPool(await poolFacts(ds, id));
    default:
      return { id };
  }
}
