import { type Delivery, isOpen } from '../../shared/jobs.js';
import type { ChainConsolidation, Consolidation } from '../../contract/index.js';
import type { EntityManager } from '../../db/database.js';
import { backupsOf, type BackupTarget, nameOfTarget } from '../../db/chain/targets.js';
import { presentDisks, retireDisks } from '../../db/vm/disks.js';
import { lockChain } from '../../db/job/position.js';
import { loadLayers } from '../../services/chain/index.js';
import {
  type MergePlan,
  planRemoval,
  type Refusal,
  refusalError,
} from '../../services/consolidation/index.js';
import { StrataError } from '../../shared/errors.js';
import { addMaintenance } from './addMaintenance.js';
import type { AcceptDeps, Idempotency } from './deps.js';
import { acceptOnce } from './once.js';

/** What is going to happen to one chain, before it is put into words. */
export interface ChainPlan extends Omit<ChainConsolidation, keyof MergePlan>, MergePlan {}

/** Absent in answers that an older version has saved. */
type Latest = 'latest_backup_id';

/** The answer before it is put into words. */
export interface RemovalAnswer
  extends Omit<Consolidation, 'chains' | Latest>,
    Partial<Pick<Consolidation, Latest>> {
  chains: ChainPlan[];
}

/** Chains that one request makes jobs for: they are all locked at once. */
const MOST_CHAINS = 500;

/**
 * Accepts the removal of backups: one job a chain, which makes its own plan under the chain's lease. All of them or none.
 * @throws not_found; wrong_state for a backup that has not completed
 * @param options.expectedLatest the newest completed backup that the caller has seen
 * @throws backup_in_use when one of them is protected, being restored, or must stay for what stands on it
 * @throws chain_moved when another backup has completed since the caller looked
 */
export async function acceptRemoval(
  deps: AcceptDeps,
  target: BackupTarget,
  { dryRun, expectedLatest }: { dryRun: boolean; expectedLatest?: string | undefined },
  idempotency?: Idempotency,
): Promise<RemovalAnswer> {
  return acceptOnce(deps, dryRun ? undefined : idempotency, async (tx) => {
    const { chains: wanted, latest } = await selectBackups(tx, target);
    assertSeen(latest, expectedLatest);
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
    const answer: RemovalAnswer = { dry_run: dryRun, chains, latest_backup_id: latest };
    if (target.kind === 'vm') {
      // A VM whose backups go is not backed up any more by a request that names no disks; registered again, it is.
      answer.retired_disks = await presentDisks(tx, target.id);
      if (!dryRun) await retireDisks(tx, target.id);
    }
    return { answer, deliveries };
  });
}

/**
 * Accepts a consolidation: of the completed backups all go that are not to be kept. Those which complete later stay.
 * @param keep ids of backups; undefined keeps all, and finishes what earlier jobs have left
 * @param expectedLatest the newest completed backup that the caller has seen
 * @throws not_found; invalid_request for an id that is no completed backup of the chain, or when none would be kept
 * @throws chain_moved when another backup has completed since the caller looked, or the newest one would go unseen
 */
export async function acceptConsolidation(
  deps: AcceptDeps,
  request: {
    chainId: string;
    keep: readonly string[] | undefined;
    dryRun: boolean;
    expectedLatest?: string | undefined;
  },
  idempotency?: Idempotency,
): Promise<RemovalAnswer> {
  const { chainId, keep, dryRun, expectedLatest } = request;
  return acceptOnce(deps, dryRun ? undefined : idempotency, async (tx) => {
    await lockChain(tx, chainId);
    const points = (await loadLayers(tx, chainId)).filter(({ expired }) => !expired);
    keep?.forEach((id, index) => {
      if (points.some((point) => point.id === id)) return;
      throw new StrataError('invalid_request', `${id} is no completed backup of chain ${chainId}.`, {
        field: `keep[${index}]`,
      });
    });
    const remove = keep ? points.map(({ id }) => id).filter((id) => !keep.includes(id)) : [];
    const latest = points.at(-1)?.id ?? null;
    assertSeen(latest, expectedLatest);
    if (!dryRun && latest !== null && expectedLatest === undefined && remove.includes(latest))
      throw unseen(latest);
    const deliveries: Delivery[] = [];
    const chain = await planChain(tx, deps, { chainId, remove, dryRun }, deliveries);
    return { answer: { dry_run: dryRun, chains: [chain], latest_backup_id: latest }, deliveries };
  });
}

/** "All" and "the rest" are what the caller has seen, and no backup that has completed since. */
function assertSeen(latest: string | null, expected: string | undefined): void {
  if (expected === undefined || expected === latest) return;
  throw new StrataError(
    'chain_moved',
    `The newest backup is ${latest ?? 'gone'}, and not ${expected}: look again at what would be removed.`,
    { field: 'expected_latest' },
  );
}

function unseen(latest: string): StrataError {
  return new StrataError(
    'chain_moved',
    `Backup ${latest} is newer than all that are to be kept, and would be removed. If that is meant, say so: expected_latest ${latest}.`,
    { field: 'expected_latest' },
  );
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

/** The completed backups of a target, chain by chain, and the newest of them. */
async function selectBackups(
  tx: EntityManager,
  target: BackupTarget,
): Promise<{ chains: Map<string, string[]>; latest: string | null }> {
  const backups = await backupsOf(tx, target);
  const open = backups.find(({ status }) => isOpen(status));
  if (open) {
    throw new StrataError(
      'wrong_state',
      `Backup ${open.id} is ${open.status}: cancel it, or wait for its end.`,
    );
  }
  const completed = backups.filter(({ status }) => status === 'completed');
  if (completed.length === 0 && (target.kind === 'backup' || target.kind === 'restore_point')) {
    throw new StrataError(
      'wrong_state',
      `The ${nameOfTarget(target)} has no completed backup that could be removed.`,
    );
  }
  const chains = new Map<string, string[]>();
  for (const { id, chainId } of completed) chains.set(chainId, [...(chains.get(chainId) ?? []), id]);
  return { chains, latest: completed.at(-1)?.id ?? null };
}
