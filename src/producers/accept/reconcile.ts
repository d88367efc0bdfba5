// One file for each use case; all are imported through the index.
import type { Delivery } from '../../shared/jobs.js';
import type { ReconcileReport, JobAccepted } from '../../contract/index.js';
import { findOpenMaintenance } from '../../db/job/maintenance.js';
import { lockChain } from '../../db/job/position.js';
import { getRepository } from '../../db/repository/repositories.js';
import { noteUncatalogued } from '../../db/repository/space.js';
import { type Action, changesSomething, GRACE_MS, planRepository } from '../../services/reconcile/index.js';
import { addMaintenance } from './addMaintenance.js';
import type { AcceptDeps, Idempotency } from './deps.js';
import { acceptOnce } from './once.js';
import { findOpenRebuild, openLine } from '../../db/job/line.js';

/** Chains that one request makes jobs for, so that its transaction stays short; the next request takes the rest. */
const MOST_CHAINS = 500;
/** Actions that an answer lists; `counts` has all of them. */
const MOST_ACTIONS = 1000;

/** The report before it is put into words: without messages, and without the counts that are 0. */
export interface ReconcileAnswer extends Omit<ReconcileReport, 'counts' | 'actions'> {
  counts: Partial<ReconcileReport['counts']>;
  actions: Action[];
}

export interface ReconcileRequest {
  repositoryId: string;
  dryRun: boolean;
  signal: AbortSignal;
}

/**
 * Compares a repository with the catalogue; unless it is a dry run, every chain with something to change gets a job,
 * which makes its own plan under the chain's lease. A chain that has such a job already gets no second one.
 * @throws not_found, repository_unavailable, repository_marker_foreign
 */
export async function acceptReconcile(
  deps: AcceptDeps,
  request: ReconcileRequest,
  idempotency?: Idempotency,
): Promise<ReconcileAnswer> {
  const repository = await getRepository(deps.ds, request.repositoryId);
  const plan = await planRepository({
    ds: deps.ds,
    repository,
    nowMs: deps.clock.now().getTime(),
    graceMs: GRACE_MS,
    signal: request.signal,
  });
  await noteUncatalogued(deps.ds, repository.id, plan.restorable);
  const answer: ReconcileAnswer = {
    repository_id: repository.id,
    dry_run: request.dryRun,
    scanned: { directories: plan.directories, files: plan.files },
    counts: countActions(plan.actions),
    restorable: plan.restorable,
    actions: plan.actions.slice(0, MOST_ACTIONS),
    jobs: [],
  };
  if (request.dryRun) return answer;
  const chains = chainsToChange(plan.actions);
  return acceptOnce(deps, idempotency, async (tx) => {
    const jobs: ReconcileAnswer['jobs'] = [];
    const deliveries: Delivery[] = [];
    for (const chainId of chains) {
      await lockChain(tx, chainId);
      const open = await findOpenMaintenance(tx, chainId, 'reconcile');
      const job = open
        ? { job_id: open.id, status: open.status }
        : await addMaintenance(tx, deps, { chainId, type: 'reconcile', params: {} }, deliveries);
      jobs.push({ chain_id: chainId, ...job });
    }
    return { answer: { ...answer, jobs }, deliveries };
  });
}

function countActions(actions: readonly Action[]): ReconcileAnswer['counts'] {
  const counts: ReconcileAnswer['counts'] = {};
  for (const { action } of actions) counts[action] = (counts[action] ?? 0) + 1;
  return counts;
}

/** In one order everywhere: the chains are locked one after the other. */
function chainsToChange(actions: readonly Action[]): string[] {
  const ids = actions.flatMap((action) => (changesSomething(action) ? [action.chain_id] : []));
  return [...new Set(ids.filter((id) => id !== null))].sort().slice(0, MOST_CHAINS);
}

/**
 * Accepts a rebuild of a repository's catalogue; it takes its turn in the repository's line. Where such a rebuild is open already, that
 * one is the answer.
 * @throws not_found when there is no such repository
 */
export async function acceptRebuild(
  deps: AcceptDeps,
  { repositoryId, dryRun }: { repositoryId: string; dryRun: boolean },
  idempotency?: Idempotency,
): Promise<JobAccepted> {
  return acceptOnce(deps, idempotency, async (tx) => {
    const chainId = await openLine(tx, repositoryId);
    const params = { dry_run: dryRun };
    const deliveries: Delivery[] = [];
    const open = await findOpenRebuild(tx, chainId, params);
    const answer = open
      ? { job_id: open.id, status: open.status }
      : await addMaintenance(tx, deps, { chainId, type: 'rebuild', params }, deliveries);
    return { answer, deliveries };
  });
}
