// One file for each chore of the keeper; src/main/keeper.ts says how often each has its turn.
import { repositoriesWithPendingHolds } from '../../db/chain/protect.js';
import { getRepository } from '../../db/repository/repositories.js';
import { recordHolds } from '../../services/protection/holds.js';
import type { AcceptDeps } from '../accept/deps.js';
import { type BackgroundChore, inBackground } from './inBackground.js';

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
