import type { EntityManager } from '../../db/database.js';
import type { Delivery } from '../../db/jobs/kinds.js';
import { lockChain } from '../../db/jobs/position.js';
import {
  loadLayers,
  type MergePlan,
  planRemoval,
  type Refusal,
  refusalError,
} from '../../services/consolidation/index.js';
import { StrataError } from '../../shared/errors.js';
import { addMaintenance, type JobAnswer } from './addMaintenance.js';
import type { AcceptDeps, Idempotency } from './deps.js';
import { acceptOnce } from './once.js';
import { type RemovalTarget, selectRemoval } from './selectRemoval.js';

/** What is going to happen to one chain. */
export interface ChainPlan extends MergePlan {
  chain_id: string;
  /** Null for a dry run, and where there is nothing to do. */
  job: JobAnswer | null;
}

export interface RemovalAnswer {
  dry_run: boolean;
  chains: ChainPlan[];
}

/** Chains that one request makes jobs for: they are all locked at once. */
const MOST_CHAINS = 500;

/**
 * Accepts the removal of backups: one job a chain, which plans anew under the chain's lease. All of them or none.
 * @throws not_found; wrong_state for a backup that has not completed
 * @throws backup_in_use when one of them is protected, being restored, or must stay for what stands on it
 */
export async function acceptRemoval(
  deps: AcceptDeps,
  target: RemovalTarget,
  { dryRun }: { dryRun: boolean },
  idempotency?: Idempotency,
): Promise<RemovalAnswer> {
  return acceptOnce(deps, dryRun ? undefined : idempotency, async (tx) => {
    const wanted = await selectRemoval(tx, target);
    if (wanted.size > MOST_CHAINS) {
      throw new StrataError(
        'invalid_request',
        `That are ${wanted.size} chains; one request removes from ${MOST_CHAINS} at most: go VM by VM.`,
      );
    }
    const deliveries: Delivery[] = [];
    const chains: ChainPlan[] = [];
    // In one order everywhere: the chains are locked one after the other.
    for (const [chainId, remove] of [...wanted].sort(([a], [b]) => (a < b ? -1 : 1))) {
      chains.push(await planChain(tx, deps, { chainId, remove, dryRun }, deliveries));
    }
    const refused = chains.flatMap((chain) => refusedOf(chain, wanted.get(chain.chain_id) ?? []));
    if (refused.length > 0) throw refusalError(refused);
    if (target.kind === 'vm' && !dryRun) await retireDisks(tx, target.id);
    return { answer: { dry_run: dryRun, chains }, deliveries };
  });
}

/**
 * Accepts a consolidation: of the completed backups all go that are not to be kept. Those which complete later stay.
 * @param keep ids of backups; undefined keeps all, and finishes what earlier jobs have left
 * @throws not_found; invalid_request for an id that is no completed backup of the chain, or when none would be kept
 */
export async function acceptConsolidation(
  deps: AcceptDeps,
  request: { chainId: string; keep: readonly string[] | undefined; dryRun: boolean },
  idempotency?: Idempotency,
): Promise<RemovalAnswer> {
  const { chainId, keep, dryRun } = request;
  return acceptOnce(deps, dryRun ? undefined : idempotency, async (tx) => {
    await lockChain(tx, chainId);
    const points = (await loadLayers(tx, chainId)).filter(({ status }) => status === 'completed');
    keep?.forEach((id, index) => {
      if (points.some((point) => point.id === id)) return;
      throw new StrataError('invalid_request', `${id} is no completed backup of chain ${chainId}.`, {
        field: `keep[${index}]`,
      });
    });
    const remove = keep ? points.map(({ id }) => id).filter((id) => !keep.includes(id)) : [];
    const deliveries: Delivery[] = [];
    const chain = await planChain(tx, deps, { chainId, remove, dryRun }, deliveries);
    return { answer: { dry_run: dryRun, chains: [chain] }, deliveries };
  });
}

/**
 * Accepts a synthetic full of the chain's latest backup.
 * @throws not_found; wrong_state when there is none
 */
export async function acceptSyntheticFull(
  deps: AcceptDeps,
  chainId: string,
  idempotency?: Idempotency,
): Promise<JobAnswer> {
  return acceptOnce(deps, idempotency, async (tx) => {
    const chain = await lockChain(tx, chainId);
    if (chain.latest_backup_id === null) {
      throw new StrataError('wrong_state', `Chain ${chainId} has no backup that could become a full.`);
    }
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

async function planChain(
  tx: EntityManager,
  deps: AcceptDeps,
  { chainId, remove, dryRun }: { chainId: string; remove: string[]; dryRun: boolean },
  deliveries: Delivery[],
): Promise<ChainPlan> {
  await lockChain(tx, chainId);
  const { steps, refused } = planRemoval(await loadLayers(tx, chainId), remove);
  const job =
    dryRun || steps.length === 0
      ? null
      : await addMaintenance(tx, deps, { chainId, type: 'consolidate', params: { remove } }, deliveries);
  return { chain_id: chainId, steps, refused, job };
}

function refusedOf({ refused }: ChainPlan, wanted: readonly string[]): Refusal[] {
  return refused.filter(({ backup_id }) => wanted.includes(backup_id));
}

/** A VM whose backups go is not backed up any more by a request that names no disks; registered again, it is. */
async function retireDisks(tx: EntityManager, vmContextId: string): Promise<void> {
  await tx.query(
    'UPDATE vm_disks SET retired_at = UTC_TIMESTAMP(3) WHERE vm_context_id = ? AND retired_at IS NULL',
    [vmContextId],
  );
}
