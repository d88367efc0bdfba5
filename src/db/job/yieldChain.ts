import { type Delivery } from '../../shared/jobs.js';
import type { DataSource } from 'typeorm';
import { inTransaction } from '../transaction.js';
import { type ChainLease, leaseLost } from './lease.js';
import { clearLease, releaseHead, takeSeq } from './position.js';
import { type JobFailure, leaveRunning } from './settle.js';

/**
 * Puts a running job behind all that wait for its chain, and gives the lease back: for long work that goes on where it was
 * (docs/validation.md). Each turn is a first attempt: neither attempts nor the deadline count over them.
 * @returns the next head of the chain: the job itself where nobody waits
 * @throws lease_lost when the fence has moved on; then nothing is changed
 */
export async function yieldChain(
  ds: DataSource,
  lease: ChainLease,
  failure: JobFailure,
): Promise<Delivery | undefined> {
  return inTransaction(ds, async (tx) => {
    const seq = await takeSeq(tx, lease.chainId);
    await leaveRunning(
      tx,
      lease,
      `status = 'queued', seq = ?, delivery = delivery + 1, attempts = attempts - 1, started_at = NULL,
       error_code = ?, error_detail = ?`,
      [seq, failure.code, failure.detail],
    );
    if (!(await clearLease(tx, lease.chainId, lease.fence))) throw leaseLost(lease, 'commit');
    return releaseHead(tx, lease.chainId);
  });
}
