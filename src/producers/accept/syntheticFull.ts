import type { Delivery } from '../../shared/jobs.js';
import type { JobAccepted, SyntheticFullPlan } from '../../contract/index.js';
import { type LockedChain, lockChain } from '../../db/job/position.js';
import { inTransaction } from '../../db/transaction.js';
import { loadLayers } from '../../services/chain/index.js';
import { planSyntheticFull } from '../../services/consolidation/index.js';
import { StrataError } from '../../shared/errors.js';
import { addMaintenance } from './addMaintenance.js';
import type { AcceptDeps, Idempotency } from './deps.js';
import { acceptOnce } from './once.js';

/** What a synthetic full would do. */
/**
 * Accepts a synthetic full of the chain's latest backup.
 * @throws not_found; wrong_state when there is none
 */
export async function acceptSyntheticFull(
  deps: AcceptDeps,
  chainId: string,
  idempotency?: Idempotency,
): Promise<JobAccepted> {
  return acceptOnce(deps, idempotency, async (tx) => {
    const chain = await lockChain(tx, chainId);
    latestOf(chain);
    const deliveries: Delivery[] = [];
    const answer = await addMaintenance(
      tx,
      deps,
      { chainId, type: 'synthetic_full', params: {} },
      deliveries,
    );
    return { answer, deliveries };
  });
}

/**
 * Says what a synthetic full of the chain's latest backup would do, and changes nothing.
 * @throws not_found; wrong_state when there is none; backup_damaged when it, or what it stands on, is not healthy
 */
export async function dryRunSyntheticFull(
  { ds }: Pick<AcceptDeps, 'ds'>,
  chainId: string,
): Promise<SyntheticFullPlan> {
  return inTransaction(ds, async (tx) => {
    const latest = latestOf(await lockChain(tx, chainId));
    const [top, ...below] = planSyntheticFull(await loadLayers(tx, chainId), chainId, latest);
    const bytes = [top, ...below].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    return {
      dry_run: true,
      chain_id: chainId,
      backup_id: top.id,
      reads: below.map(({ id }) => id),
      bytes: below.length === 0 ? 0 : bytes,
    };
  });
}

function latestOf({ id, latest_backup_id: latest }: LockedChain): string {
  if (latest !== null) return latest;
  throw new StrataError('wrong_state', `Chain ${id} has no backup that could become a full.`);
}
