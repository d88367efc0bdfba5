import { type CancelResult, closed, nullable } from '../../contract/index.js';
import type { JobStatus } from '../../entities/index.js';
import { type AcceptDeps, cancel } from '../accept/index.js';

/** Nothing, or an empty object: a call without a body. */
export const NoBody = nullable(closed({}));

/** Cancels a job and says what became of it. */
export async function cancelAnswer(deps: AcceptDeps, jobId: string): Promise<CancelResult> {
  const { id, status, accepted } = await cancel(deps, jobId);
  return { id, status: status as JobStatus, accepted };
}
