// One file for each use case; all are imported through the index.
import type { CancelResult } from '../../contract/index.js';
import { kindOfJob } from '../../db/job/kinds.js';
import { cancelJob } from '../../db/job/settle.js';
import { StrataError } from '../../shared/errors.js';
import type { AcceptDeps } from './deps.js';
import { deliverAll } from './once.js';

/**
 * Cancels a waiting job, or asks a running one to stop; it is `cancelled` when its worker has stopped and tidied up.
 * @throws wrong_state when the job has ended already
 */
export async function cancel(deps: AcceptDeps, jobId: string): Promise<CancelResult> {
  const kind = kindOfJob(jobId);
  if (!kind) throw new StrataError('not_found', `There is no job ${jobId}.`);
  const { status, accepted, next } = await cancelJob(deps.ds, kind, jobId);
  if (next) await deliverAll(deps, [next]);
  // Cancelling twice is harmless; cancelling what has ended otherwise is a mistake worth telling.
  if (!accepted && status !== 'cancelled') {
    throw new StrataError('wrong_state', `Job ${jobId} is ${status} and cannot be cancelled.`);
  }
  return { id: jobId, status, accepted };
}
