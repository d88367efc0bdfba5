import type { DataSource, EntityManager } from 'typeorm';
import { inTransaction } from '../transaction.js';
import { type ChainLease, leaseLost } from './lease.js';
import { lockChain } from './position.js';

/**
 * A commit in the middle of a job: the chain's row is locked and the fence compared, and the lease is kept.
 * @throws lease_lost when the fence has moved on or the lease is another's; then nothing is changed
 */
export async function fencedChange<T>(
  ds: DataSource,
  lease: ChainLease,
  change: (tx: EntityManager) => Promise<T>,
): Promise<T> {
  return inTransaction(ds, async (tx) => {
    const chain = await lockChain(tx, lease.chainId);
    const ours = Number(chain.fence) === lease.fence && chain.lease_owner === lease.owner;
    if (!ours || Number(chain.lease_live) !== 1) throw leaseLost(lease, 'commit');
    return change(tx);
  });
}
