import { lead } from '../../db/jobs/lease.js';
import type { Clock } from '../../shared/clock.js';
import { type SweepDeps, sweep } from './sweep.js';

export interface KeeperOptions extends SweepDeps {
  clock: Clock;
  /** Names this process among the keepers. */
  owner: string;
  sweepEveryMs: number;
  signal: AbortSignal;
  /** More chores of the leader, each run once per round. */
  chores?: { name: string; run: () => Promise<unknown> }[];
}

/** Rounds that a dead leader's lease outlasts it. */
const LEAD_ROUNDS = 4;

/** Runs until the signal aborts: one keeper at a time leads, by a lease in the database, and sweeps. */
export async function runKeeper(options: KeeperOptions): Promise<void> {
  const { ds, clock, owner, sweepEveryMs, signal, log } = options;
  while (!signal.aborted) {
    try {
      if (await lead(ds, 'keeper', owner, sweepEveryMs * LEAD_ROUNDS)) {
        await sweep(options);
        for (const chore of options.chores ?? []) await chore.run();
      }
    } catch (error) {
      // Redis or the database is away: say so, and try in the next round.
      log.warn({ err: error }, 'the round of the keeper failed');
    }
    await clock.sleep(sweepEveryMs, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}
