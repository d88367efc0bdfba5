import { JOB_KINDS } from '../../../src/shared/jobs.js';
import { expect } from 'chai';
import { JOB_TABLES } from '../../../src/db/job/kinds.js';
import type { EndedJob, TestFleet } from '../fleet.js';
import { keptUntil } from '../keeping.js';
import { chainProblems, leaseProblems } from './chains.js';
import { fileProblems } from './files.js';
import { type SavedPoint, pointProblems } from './points.js';
import { processProblems, scratchProblems } from './processes.js';
import { queueProblems } from './queues.js';

export type { SavedPoint } from './points.js';

export interface InOrder {
  /** Ids of every accepted job, of any kind, in the order in which they were accepted. */
  accepted: readonly string[];
  /** A saved copy for every backup that has completed. */
  points: readonly SavedPoint[];
  /** Milliseconds within which all accepted jobs must have ended. Default 60,000. */
  withinMs?: number;
  /** QEMU processes of the test itself, by pid. */
  except?: readonly number[];
}

const WITHIN_MS = 60_000;
/**
 * Entries, leases and processes of the last job may need a moment: an entry of a killed worker goes with the second round of a keeper that
 * has just taken the lead, and a busy machine takes seconds for a round. How soon a lost lease reaches every child is
 * the matter of crash/lostLease.
 */
const SETTLE_MS = 30_000;
const POLL_MS = 100;

/**
 * What must hold after any fault, once the fleet has recovered by itself: workers run (the caller starts them), and a
 * keeper, which is started here for the time of the waiting. All accepted jobs have ended; every chain is linear and in
 * the accepted order; every completed backup reads back as its saved copy through its plain backing chain; the
 * repository holds the files of the completed backups and nothing else; no process, socket, temporary file or lease is
 * left; and the queues know the open jobs of the catalogue and no others.
 * @returns how each accepted job ended, by its id: whether that is right is the test's to say
 */
export async function expectInOrder(
  fleet: TestFleet,
  { accepted, points, withinMs = WITHIN_MS, except = [] }: InOrder,
): Promise<Map<string, EndedJob>> {
  const look = async () => [
    ...(await leaseProblems(fleet)),
    ...(await queueProblems(fleet)),
    ...(await processProblems(except)),
    ...(await fileProblems(fleet)),
  ];
  const { ends, problems } = await keptUntil(fleet, async () => ({
    ends: await allEnded(fleet, accepted, withinMs),
    problems: await untilNone(look),
  }));
  problems.push(...(await scratchProblems(fleet)));
  problems.push(...(await chainProblems(fleet, accepted)));
  problems.push(...(await pointProblems(fleet, points)));
  expect(problems, problems.join('\n')).to.deep.equal([]);
  return ends;
}

/** Waits until none of the jobs is open. One query for all of them, because they may be thousands. */
async function allEnded(
  fleet: TestFleet,
  accepted: readonly string[],
  withinMs: number,
): Promise<Map<string, EndedJob>> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const jobs = await allJobs(fleet);
    const missing = accepted.filter((id) => !jobs.has(id));
    expect(missing, 'accepted jobs that are gone').to.deep.equal([]);
    const open = accepted.filter((id) => OPEN.includes(jobs.get(id)?.status ?? ''));
    if (open.length === 0) return new Map([...jobs].filter(([id]) => accepted.includes(id)));
    if (performance.now() > deadline) {
      const lines = open.slice(0, 10).map((id) => `${id}: ${JSON.stringify(jobs.get(id))}`);
      expect.fail(`${open.length} jobs are still open after ${withinMs} ms:\n${lines.join('\n')}`);
    }
    await fleet.accept.clock.sleep(POLL_MS);
  }
}

const OPEN: string[] = ['queued', 'released', 'running'];

async function allJobs(fleet: TestFleet): Promise<Map<string, EndedJob>> {
  const parts = JOB_KINDS.map(
    (kind) => `SELECT id, status, error_code, error_detail FROM ${JOB_TABLES[kind]}`,
  );
  const rows = await fleet.suite.ds.query<(EndedJob & { id: string })[]>(parts.join(' UNION ALL '));
  return new Map(rows.map(({ id, ...job }) => [id, job]));
}

async function untilNone(look: () => Promise<string[]>): Promise<string[]> {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    const problems = await look();
    if (problems.length === 0 || performance.now() > deadline) return problems;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
