// One file for each chore of the keeper; src/main/keeper.ts says how often each has its turn.
// One file for each chore of the keeper; src/main/keeper.ts says how often each has its turn.
import { noteRetained, type RetainedVm, vmsToRetain } from '../../db/chain/retention.js';
import { simulateRetention } from '../../services/retention/index.js';
import { acceptRetention } from '../accept/retention.js';
import type { AcceptDeps } from '../accept/deps.js';
import { repositoriesWithPendingHolds } from '../../db/chain/protect.js';
import { getRepository } from '../../db/repository/repositories.js';
import { recordHolds } from '../../services/protection/holds.js';
import { type BackgroundChore, inBackground } from './inBackground.js';

/** VMs that are looked through in one sweep. */
const MOST_AT_ONCE = 50;

/**
 * A chore of the keeper: removes what policies do not keep, by jobs on the chains. It asks the same function as `simulate`,
 * and the jobs make their own plans under the chains' leases.
 */
export async function retain(deps: AcceptDeps, everyMs: number): Promise<void> {
  for (const vm of await vmsToRetain(deps.ds, everyMs, MOST_AT_ONCE)) {
    const facts = { vmContextId: vm.vmContextId, policyId: vm.policyId };
    try {
      await retainOne(deps, vm, facts);
    } catch (error) {
      deps.log.warn(
        { err: error, ...facts },
        'what a policy does not keep was not removed; the next time tries again',
      );
    }
    await noteRetained(deps.ds, vm.vmContextId);
  }
}

async function retainOne(deps: AcceptDeps, vm: RetainedVm, facts: object): Promise<void> {
  const verdicts = await simulateRetention(deps.ds, vm.vmContextId, vm);
  const remove = verdicts.filter(({ keep }) => !keep).map(({ id }) => id);
  if (remove.length === 0) return;
  const { removed, held, jobs } = await acceptRetention(deps, vm.vmContextId, remove);
  if (jobs.length > 0) deps.log.info({ ...facts, removed, jobs }, 'a policy removes restore points');
  for (const point of held) deps.log.info({ ...facts, ...point }, 'a restore point has to stay for now');
}

const EVERY_MS = 60_000;

/** A chore of the keeper: writes the records of protections into repositories that could not be reached when they were changed. */
export function createHoldKeeper(deps: AcceptDeps, { signal }: { signal: AbortSignal }): BackgroundChore {
  return inBackground(deps, { name: 'protections', everyMs: EVERY_MS, signal }, async () => {
    for (const id of await repositoriesWithPendingHolds(deps.ds)) {
      if (signal.aborted) return;
      const repository = await getRepository(deps.ds, id);
      await recordHolds({ ds: deps.ds, repository, signal }).catch((error: unknown) =>
        deps.log.warn(
          { err: error, repository: repository.name },
          'protections are not in their repository yet; a rebuild would not know them',
        ),
      );
    }
  });
}
