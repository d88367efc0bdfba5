import { isOpen, type JobKind, type JobStatus } from '../../shared/jobs.js';
import type { DataSource } from 'typeorm';
import type { JobProgress } from '../../entities/index.js';
import { type AllKinds, KIND_FACTS, type OverKinds } from './kinds.js';
import { isLine } from './line.js';
import { WAITING_CODES } from './openJobs.js';
import { databaseNow } from './changes.js';
import { lookAtPools } from '../repository/pools.js';
import { select } from '../page.js';

/**
 * For what a job waits. `condition`: for what its `error` names (room, a mount, a port); `pause`: between attempts; `change_list`,
 * `agent`: for its upstream; `job`: for another job of its chain; `slot`: for one of its repository's `max_parallel_jobs`;
 * `worker`: for a free worker; `no_worker`: no live worker serves its pool.
 */
export type WaitsFor =
  | 'condition'
  | 'pause'
  | 'change_list'
  | 'agent'
  | 'job'
  | 'slot'
  | 'worker'
  | 'no_worker';

export interface WaitingFor {
  reason: WaitsFor;
  /** One sentence. */
  detail: string;
  /** The job in front, for `job`. */
  jobId: string | null;
  /** Until when at the latest: the next try, or the time at which the change list must have come. */
  until: Date | null;
}

/** What is known of a job that may wait. */
export interface MaybeWaiting {
  id: string;
  kind: JobKind;
  chainId: string;
  repositoryId: string;
  status: JobStatus;
  errorCode: string | null;
  errorDetail: string | null;
  notBefore: Date | null;
  parkedAt: Date | null;
  awaitsExtentsUntil: Date | null;
  progress: JobProgress | null;
}

/** Says of each of the jobs for what it waits; those that do not wait are left out. A few statements, however many jobs. */
export async function waitingFor(
  ds: DataSource,
  jobs: readonly MaybeWaiting[],
): Promise<Map<string, WaitingFor>> {
  const found = new Map<string, WaitingFor>();
  if (!jobs.some(({ status }) => isOpen(status))) return found;
  const now = await databaseNow(ds);
  const behind: MaybeWaiting[] = [];
  const due: MaybeWaiting[] = [];
  for (const job of jobs) {
    const own = ownReason(job, now);
    if (own) found.set(job.id, own);
    else if (job.status === 'queued') behind.push(job);
    else if (job.status === 'released') due.push(job);
  }
  await addFront(ds, behind, found);
  await addWorkers(ds, due, found);
  return found;
}

/** What the job's own row says. */
function ownReason(job: MaybeWaiting, now: Date): WaitingFor | undefined {
  const { status, errorCode, errorDetail, notBefore, awaitsExtentsUntil, progress } = job;
  const reason = (of: WaitsFor, detail: string, until: Date | null = null) => ({
    reason: of,
    detail,
    until,
    jobId: null,
  });
  if (status === 'running') {
    return progress?.phase === 'waiting_for_agent'
      ? reason('agent', 'An agent that connects to the export and writes the disk.')
      : undefined;
  }
  if (status !== 'queued' && status !== 'released') return undefined;
  if (awaitsExtentsUntil !== null)
    return reason('change_list', 'Its change list, which is still to come.', awaitsExtentsUntil);
  if (notBefore !== null && notBefore > now) {
    const isCondition = (WAITING_CODES as readonly string[]).includes(errorCode ?? '');
    const detail = `${errorDetail ?? ''} [${errorCode ?? ''}]`;
    return isCondition
      ? reason('condition', detail, notBefore)
      : reason('pause', `The next attempt; the last one ended with: ${detail}`, notBefore);
  }
  if (job.parkedAt !== null && status === 'released')
    return reason('slot', 'One of the jobs that its repository runs at a time to end (max_parallel_jobs).');
  return undefined;
}

interface FrontRow {
  id: string;
  chain_id: string;
  status: JobStatus;
  error_code: string | null;
  waits: number;
  awaits: number;
}

/** The job that has the chain's turn, or the first in line where none has. */
async function addFront(
  ds: DataSource,
  behind: readonly MaybeWaiting[],
  found: Map<string, WaitingFor>,
): Promise<void> {
  if (behind.length === 0) return;
  const chains = [...new Set(behind.map(({ chainId }) => chainId))];
  const front = new Map<string, FrontRow>();
  for (const row of await frontRows(ds, chains)) if (!front.has(row.chain_id)) front.set(row.chain_id, row);
  for (const { id, chainId } of behind) {
    const first = front.get(chainId);
    if (!first || first.id === id) continue;
    found.set(id, { reason: 'job', detail: frontText(first), jobId: first.id, until: null });
  }
}

function frontText({ id, chain_id: chainId, status, error_code: code, waits, awaits }: FrontRow): string {
  const before = `Job ${id} of its ${isLine(chainId) ? 'repository' : 'chain'}, which`;
  if (Number(awaits) === 1) return `${before} waits for its change list.`;
  if (status === 'running') return `${before} runs.`;
  return Number(waits) === 1 && code !== null ? `${before} waits itself [${code}].` : `${before} is next.`;
}

/** Selects of chains whoever has the turn, and the first queued of each kind: no look at all that wait behind. Each `?` is the chains' ids. */
export function selectFront(kinds: AllKinds = KIND_FACTS): OverKinds {
  const parts = Object.values(kinds).flatMap(({ table, awaitsExtents }) => {
    const columns = `j.id, j.chain_id, j.seq, j.status, j.error_code, COALESCE(j.not_before > UTC_TIMESTAMP(3), 0) AS waits,
       ${awaitsExtents} AS awaits`;
    return [
      `SELECT ${columns} FROM ${table} j WHERE j.chain_id IN (?) AND j.status IN ('released', 'running')`,
      `SELECT ${columns} FROM ${table} j JOIN (SELECT chain_id, MIN(seq) AS seq FROM ${table}
         WHERE chain_id IN (?) AND status = 'queued' GROUP BY chain_id) f ON f.chain_id = j.chain_id AND f.seq = j.seq`,
    ];
  });
  return {
    sql: `SELECT * FROM (${parts.join(' UNION ALL ')}) front ORDER BY chain_id, status = 'queued', seq`,
    times: parts.length,
  };
}

const FRONT = selectFront();

async function frontRows(ds: DataSource, chains: readonly string[]): Promise<FrontRow[]> {
  return select<FrontRow>(
    ds,
    FRONT.sql,
    Array.from({ length: FRONT.times }, () => chains),
  );
}

/** Jobs whose turn it is, and that no worker has taken yet. */
async function addWorkers(
  ds: DataSource,
  due: readonly MaybeWaiting[],
  found: Map<string, WaitingFor>,
): Promise<void> {
  if (due.length === 0) return;
  const repositories = await select<{ id: string; pool: string }>(
    ds,
    'SELECT id, pool FROM repositories WHERE id IN (?)',
    [[...new Set(due.map(({ repositoryId }) => repositoryId))]],
  );
  const pools = new Map(repositories.map(({ id, pool }) => [id, pool]));
  const unserved = await lookAtPools(ds);
  for (const { id, kind, repositoryId } of due) {
    const pool = pools.get(repositoryId) ?? '';
    const isServed = !unserved(pool).includes(kind);
    const detail = isServed
      ? `A free worker for ${kind} jobs of the pool ${pool}.`
      : `No live worker serves ${kind} jobs of the pool ${pool}: start one with this pool in STRATA_POOLS.`;
    found.set(id, { reason: isServed ? 'worker' : 'no_worker', detail, jobId: null, until: null });
  }
}
