import { JOB_KINDS } from '../../../src/shared/jobs.js';
import { JOB_TABLES } from '../../../src/db/job/kinds.js';
import { entryId } from '../../../src/queue/catalogue.js';
import { Repository } from '../../../src/entities/index.js';
import type { TestFleet } from '../fleet.js';

/** What Bull Board shows as work to do or being done. */
const PENDING = ['waiting', 'prioritized', 'active', 'delayed'] as const;

/**
 * Where the queues and the catalogue tell different stories: released and running jobs that no entry is there for, and
 * entries that would be worked on, or are said to be, without such a job.
 */
export async function queueProblems(fleet: TestFleet): Promise<string[]> {
  const { ds } = fleet.suite;
  const parts = JOB_KINDS.map(
    (kind) =>
      `SELECT id, delivery FROM ${JOB_TABLES[kind]} WHERE status IN ('released', 'running') AND parked_at IS NULL`,
  );
  const open = await ds.query<{ id: string; delivery: number }[]>(parts.join(' UNION ALL '));
  const wanted = new Set(open.map(({ id, delivery }) => entryId(id, delivery)));
  const pools = new Set((await ds.getRepository(Repository).find()).map(({ pool }) => pool));
  const problems: string[] = [];
  for (const queue of fleet.queue.queues([...pools])) {
    for (const state of PENDING) {
      for (const { id = '' } of await queue.getJobs(state)) {
        if (!wanted.delete(id))
          problems.push(`${queue.name} has ${id} as ${state}, and no job is open for it`);
      }
    }
  }
  return [...problems, ...[...wanted].map((id) => `no queue has ${id}, which is open`)];
}
