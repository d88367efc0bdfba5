// One file for each chore of the keeper; src/main/keeper.ts says how often each has its turn.
import { forgetMaintenance } from '../../db/job/maintenance.js';
import type { AcceptDeps } from '../accept/deps.js';

/** How often it looks: nobody waits for it. */
const EVERY_MS = 600_000;
/** Jobs of one transaction, which holds their rows; more go with the next sweep. */
const BATCH = 500;

/** A chore of the keeper: forgets maintenance jobs that ended `days` days ago, a batch with every call while there are more. */
export function createHistoryKeeper(
  { ds, clock, log }: Pick<AcceptDeps, 'ds' | 'clock' | 'log'>,
  days: number,
): () => Promise<void> {
  let nextAtMs = Number.NEGATIVE_INFINITY;
  return async () => {
    if (clock.monotonicMs() < nextAtMs) return;
    const gone = await forgetMaintenance(ds, days, BATCH);
    if (gone < BATCH) nextAtMs = clock.monotonicMs() + EVERY_MS;
    if (gone > 0) log.info({ jobs: gone, days }, 'old maintenance jobs were forgotten');
  };
}
