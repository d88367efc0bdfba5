import type { TestFleet } from '../fleet.js';

/** A job that ran in a process when something was done to it. */
export interface Victim {
  id: string;
  fence: string;
}

const LOOK_EVERY_MS = 50;

/** The jobs that the process with this pid works on now. */
export async function jobsOf(fleet: TestFleet, pid: number): Promise<Victim[]> {
  return fleet.suite.ds.query<Victim[]>(
    `SELECT j.id, j.fence FROM backup_jobs j JOIN backup_chains c ON c.id = j.chain_id
     WHERE j.status = 'running' AND c.lease_owner LIKE ?`,
    [`%:${pid}:%`],
  );
}

/** Measures how long jobs wait until they run again under a newer fence, from the moment of the fault. */
export function createRecoveryWatch(fleet: TestFleet): {
  /** Watches those of the jobs that did not end before the fault. */
  add(victims: readonly Victim[], times: number[]): Promise<void>;
  stop(): Promise<void>;
} {
  const watched = new Map<string, { fence: string; since: number; times: number[] }>();
  const stopping = new AbortController();
  const look = async () => {
    const recovered = await movedOn(fleet, watched);
    for (const id of recovered) {
      const entry = watched.get(id);
      entry?.times.push(performance.now() - entry.since);
      watched.delete(id);
    }
  };
  const watching = (async () => {
    while (!stopping.signal.aborted) {
      await look();
      await fleet.accept.clock.sleep(LOOK_EVERY_MS);
    }
  })();
  return {
    add: async (victims, times) => {
      const since = performance.now();
      const asked = new Map(victims.map(({ id, fence }) => [id, { fence, since, times }]));
      for (const id of await movedOn(fleet, asked)) asked.delete(id);
      for (const [id, entry] of asked) watched.set(id, entry);
    },
    stop: async () => {
      stopping.abort();
      await watching;
    },
  };
}

/** Those that run under a newer fence, or do so no more. */
async function movedOn(fleet: TestFleet, watched: ReadonlyMap<string, { fence: string }>): Promise<string[]> {
  if (watched.size === 0) return [];
  const rows = await fleet.suite.ds.query<(Victim & { status: string })[]>(
    'SELECT id, fence, status FROM backup_jobs WHERE id IN (?)',
    [[...watched.keys()]],
  );
  return rows
    .filter(({ id, fence, status }) => status === 'completed' || fence !== watched.get(id)?.fence)
    .map(({ id }) => id);
}
