import type { DataSource } from '../../db/database.js';
import { lead, readLeader, resignLead, takeLead } from '../../db/fleet/lead.js';
import type { Clock } from '../../shared/clock.js';
import { createExpiryWatch } from '../../shared/expiryWatch.js';

const ROLE = 'keeper';

/** The lead among the keepers: only an economy, because everything that a keeper does is guarded by itself. */
export interface Leadership {
  /** Takes or prolongs the lead. True for the leader. */
  claim(): Promise<boolean>;
  /** Gives it back, so that the next keeper need not wait until it has run out. */
  resign(): Promise<void>;
}

/** @param leaseMs how long the lead of a dead keeper outlasts it */
export function createLeadership(
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
