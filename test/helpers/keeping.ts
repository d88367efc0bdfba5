import { runKeeper } from '../../src/producers/keeper/keeper.js';
import type { TestFleet } from './fleet.js';

/** How often the fleet's own keeper looks, in ms; a twentieth of the default, because the leases are as short. */
const SWEEP_MS = 250;

/** Runs the real keeper in this process, with its lead in the database, until it is stopped. */
export function startKeeper(fleet: TestFleet, sweepEveryMs = SWEEP_MS): { stop: () => Promise<void> } {
  const { ds, queue, clock, log } = fleet.accept;
  const { metrics, lease } = fleet.worker;
  const stopping = new AbortController();
  const keeping = runKeeper({
    ds,
    queue,
    clock,
    log,
    metrics,
    stuckMs: lease.leaseMs,
    // One name for all keepers of a fleet: the next one need not wait until the lead of the one before has run out.
    owner: 'test-keeper',
    sweepEveryMs,
    signal: stopping.signal,
  });
  return {
    stop: async () => {
      stopping.abort();
      await keeping;
    },
  };
}

/** Waits for `done` while a keeper does what it does. */
export async function keptUntil<T>(fleet: TestFleet, done: () => Promise<T>): Promise<T> {
  const keeper = startKeeper(fleet);
  try {
    return await done();
  } finally {
    await keeper.stop();
  }
}

/** Lets the time pass that delayed jobs wait (backoff, room, a mount): their queue entries are due now. */
export async function passDelays(fleet: TestFleet): Promise<void> {
  for (const queue of fleet.queue.queues(['default'])) {
    // One that has become due by itself is no longer delayed.
    for (const entry of await queue.getDelayed()) await entry.promote().catch(() => undefined);
  }
}
