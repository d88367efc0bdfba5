import type { Delivery } from '../../db/jobs/kinds.js';
import { acquireLease, type ChainLease } from '../../db/jobs/lease.js';
import { endUnsuccessfully, releaseAgain } from '../../db/jobs/settle.js';
import { unpark } from '../../db/jobs/slots.js';
import type { JobKind } from '../../entities/index.js';
import { withDeadline } from '../../shared/abort.js';
import { asStrataError, isStrataError, StrataError } from '../../shared/errors.js';
import type { Outcome, ReportProgress, ServiceDeps } from '../deps.js';
import { decideFailure, type FailureDecision } from './decideFailure.js';
import { type HeldLease, holdLease } from './holdLease.js';
import { jobAgeMs } from './jobTimes.js';
import { createProgressReporter } from './progress.js';

/**
 * Workers that may die at a job: being killed is not the job's fault, but one whose workers always die must end some day.
 */
const DEATHS_FORGIVEN = 20;

export interface LeaseSettings {
  owner: string;
  leaseMs: number;
  renewEveryMs: number;
  maxAttempts: number;
  /** Deadline of one attempt, and how long a job may wait for what it lacks. */
  deadlineMs: number;
}

export type RunResult<T extends Outcome> =
  | { outcome: 'completed'; result: T; wanted: Delivery[] }
  | { outcome: 'ended'; error: StrataError; decision: FailureDecision; wanted: Delivery[] }
  | { outcome: 'nothing_to_do'; wanted: Delivery[] }
  /** The repository has no free slot; the job is delivered again when it has. */
  | { outcome: 'parked'; wanted: Delivery[] }
  /** Another process holds the chain; ask again later. */
  | { outcome: 'held' };

export interface RunRequest<T extends Outcome> {
  kind: JobKind;
  jobId: string;
  delivery: number;
  signal: AbortSignal;
  onProgressError: (error: unknown) => void;
  work: (held: HeldLease, report: ReportProgress) => Promise<T>;
}

/** Takes the chain's lease, does the work, and settles the job whichever way it ends. */
export async function runUnderLease<T extends Outcome>(
  deps: ServiceDeps,
  settings: LeaseSettings,
  request: RunRequest<T>,
): Promise<RunResult<T>> {
  const askedAtMs = deps.clock.monotonicMs();
  const acquired = await acquireLease(deps.ds, { ...settings, ...request });
  if (acquired.outcome === 'held') return { outcome: 'held' };
  if (acquired.outcome === 'parked') return { outcome: 'parked', wanted: [] };
  if (acquired.outcome === 'nothing_to_do')
    return { outcome: 'nothing_to_do', wanted: listOf(acquired.next) };
  const { lease } = acquired;
  if (lease.deaths > DEATHS_FORGIVEN) {
    const poison = new StrataError(
      'attempts_exhausted',
      `${lease.deaths} workers have died at job ${lease.jobId}.`,
    );
    return settleFailure(deps, settings, lease, poison);
  }
  const deadline = withDeadline(request.signal, settings.deadlineMs, `Job ${lease.jobId}`);
  const progress = createProgressReporter({
    ds: deps.ds,
    clock: deps.clock,
    lease,
    onError: request.onProgressError,
  });
  try {
    const result = await holdLease(
      { ds: deps.ds, clock: deps.clock, lease, ...settings, askedAtMs, signal: deadline.signal },
      (held) => request.work(held, progress.report),
    );
    return { outcome: 'completed', result, wanted: [...listOf(result.next), ...(await wake(deps, lease))] };
  } catch (error) {
    return await settleFailure(deps, settings, lease, asStrataError(error));
  } finally {
    deadline.clear();
    await progress.settled();
  }
}

async function settleFailure<T extends Outcome>(
  deps: ServiceDeps,
  settings: LeaseSettings,
  lease: ChainLease,
  error: StrataError,
): Promise<RunResult<T>> {
  const decision = decideFailure({
    error,
    attempt: lease.attempt,
    maxAttempts: settings.maxAttempts,
    ageMs: error.outcome === 'wait' ? await jobAgeMs(deps.ds, lease.kind, lease.jobId) : 0,
    maxWaitMs: settings.deadlineMs,
  });
  const failure = { code: error.code, detail: error.message };
  const next = await carryOut(deps, lease, decision, failure);
  const woken = decision.action === 'abandon' ? [] : await wake(deps, lease);
  return { outcome: 'ended', error, decision, wanted: [...listOf(next), ...woken] };
}

async function carryOut(
  deps: ServiceDeps,
  lease: ChainLease,
  decision: FailureDecision,
  failure: { code: string; detail: string },
): Promise<Delivery | undefined> {
  switch (decision.action) {
    case 'abandon':
      return failure.code === 'lease_lost' ? handBack(deps, lease, failure) : undefined;
    case 'end':
      return endUnsuccessfully(deps.ds, lease, decision.status, failure);
    case 'again':
      return releaseAgain(deps.ds, lease, { ...decision, failure });
  }
}

/**
 * The watchdog gives a lease up before anybody may take it: where nobody has, the next attempt need not wait for the
 * keeper.
 */
async function handBack(
  deps: ServiceDeps,
  lease: ChainLease,
  failure: { code: string; detail: string },
): Promise<Delivery | undefined> {
  try {
    return await releaseAgain(deps.ds, lease, { delayMs: 0, keepAttempt: false, failure });
  } catch (error) {
    if (isStrataError(error, 'lease_lost', 'database_unavailable')) return undefined;
    throw error;
  }
}

function listOf(next: Delivery | undefined): Delivery[] {
  return next ? [next] : [];
}

/** Gives the slot to a parked job. The job itself is settled by now: if this fails, the keeper does it. */
async function wake(deps: ServiceDeps, lease: ChainLease): Promise<Delivery[]> {
  try {
    return await unpark(deps.ds, lease.repositoryId);
  } catch (error) {
    if (isStrataError(error)) return [];
    throw error;
  }
}
