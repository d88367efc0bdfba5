import type { DataSource } from '../../db/database.js';
import { lead, readLeader, resignLead, takeLead } from '../../db/fleet/lead.js';
import type { Clock } from '../../shared/clock.js';
import { createExpiryWatch } from '../../shared/expiryWatch.js';
import { createSweeper, type SweepDeps } from './sweep.js';

export interface KeeperOptions extends SweepDeps {
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
  const { clock, sweepEveryMs, signal, log } = options;
  const leadership = createLeadership(options, sweepEveryMs * LEAD_ROUNDS);
  const sweep = createSweeper(options);
  // One that fails (Redis is away) must not keep the others from their turn.
  const duties = [{ name: 'sweep', run: sweep }, ...(options.chores ?? [])];
  while (!signal.aborted) {
    const leads = await leadership.claim().catch((error: unknown) => {
      log.warn({ err: error }, 'the keeper does not know whether it leads');
      return false;
    });
    for (const { name, run } of leads ? duties : []) {
      try {
        await run();
      } catch (error) {
        log.warn({ err: error, duty: name }, 'a duty of the keeper failed; it has its turn again');
      }
    }
    await clock.sleep(sweepEveryMs, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
  await leadership.resign().catch((error: unknown) => {
    log.warn({ err: error }, 'the lead was not given back; it runs out');
  });
}

const ROLE = 'keeper';

/** The lead among the keepers: only an economy, because everything that a keeper does is guarded by itself. */
interface Leadership {
  /** Takes or prolongs the lead. True for the leader. */
  claim(): Promise<boolean>;
  /** Gives it back, so that the next keeper need not wait until it has run out. */
  resign(): Promise<void>;
}

/** @param leaseMs how long the lead of a dead keeper outlasts it */
function createLeadership(
  deps: { ds: DataSource; clock: Clock; owner: string },
  leaseMs: number,
): Leadership {
  const { ds, owner } = deps;
  const watch = createExpiryWatch(deps.clock, leaseMs);
  return {
    claim: async () => {
      if (await lead(ds, ROLE, owner, leaseMs)) return true;
      const leader = await readLeader(ds, ROLE);
      if (!leader) return false;
      const token = `${leader.owner} ${leader.until.getTime()}`;
      const ranOut = watch.look([{ key: ROLE, token, leftMs: leader.leftMs }], leader.now);
      return ranOut.has(ROLE) && takeLead(ds, ROLE, owner, leaseMs, leader);
    },
    resign: () => resignLead(ds, ROLE, owner),
  };
}
