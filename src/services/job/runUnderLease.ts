import { type Delivery, type JobKind } from '../../shared/jobs.js';
import { acquireLease, type JobTerms } from '../../db/job/acquire.js';
import type { ChainLease } from '../../db/job/lease.js';
import { endUnsuccessfully, releaseAgain, yieldChain } from '../../db/job/settle.js';
import { unpark } from '../../db/job/slots.js';
import { getRepository } from '../../db/repository/repositories.js';
import { withDeadline } from '../../shared/abort.js';
import { asStrataError, isStrataError, StrataError } from '../../shared/errors.js';
import type { Outcome, ReportProgress, ServiceDeps } from '../deps.js';
import { explainLock } from '../repository/lockedFile.js';
import { decideFailure, type FailureDecision } from './decideFailure.js';
import { holdLease } from './holdLease.js';
import { createProgressReporter } from './progress.js';
import { type Under, underLease } from './under.js';

/**
 * Workers that may die at a job: being killed is not the job's fault, but one whose workers always die must end some day.
 */
const DEATHS_FORGIVEN = 20;

export interface LeaseSettings {
  owner: string;
  leaseMs: number;
  renewEveryMs: number;
  maxAttempts: number;
  /** A job must have ended so long after its first attempt began, pauses included, unless its request says otherwise. */
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
  /** Told of every report, before they are thinned out. */
  onProgress?: ReportProgress;
  work: (under: Under<ServiceDeps>) => Promise<T>;
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
  const { lease, terms } = acquired;
  const deadlineMs = terms.deadlineMs ?? settings.deadlineMs;
  const grantedAtMs = deps.clock.monotonicMs();
  const ageMs = () => terms.ageMs + deps.clock.monotonicMs() - grantedAtMs;
  const run: Run = { lease, terms, askedAtMs, deadlineMs, ageMs };
  const refusal = refusalOf(run);
  if (refusal) return concludeFailure(deps, settings, run, refusal);
  return workUnderLease(deps, settings, request, run);
}

/** A job that has its lease. */
interface Run {
  lease: ChainLease;
  terms: JobTerms;
  /** Monotonic ms at which the lease was asked for. */
  askedAtMs: number;
  /** Milliseconds from the start of its first attempt in which it must have ended. */
  deadlineMs: number;
  /** Milliseconds since its first attempt began. */
  ageMs: () => number;
}

/** Why the work is not even begun. */
function refusalOf(run: Run): StrataError | undefined {
  const { deaths, jobId } = run.lease;
  if (deaths > DEATHS_FORGIVEN) {
    return new StrataError('attempts_exhausted', `${deaths} workers have died at job ${jobId}.`);
  }
  return run.ageMs() < run.deadlineMs ? undefined : tooLate(run);
}

function tooLate({ lease, deadlineMs, terms }: Run): StrataError {
  const cause = terms.lastError === null ? '' : ` The attempt before ended with ${terms.lastError}`;
  const message = `Job ${lease.jobId} did not end within ${deadlineMs / 1000} s of its first start.${cause}`;
  return new StrataError('deadline_exceeded', message);
}

async function workUnderLease<T extends Outcome>(
  deps: ServiceDeps,
  settings: LeaseSettings,
  request: RunRequest<T>,
  run: Run,
): Promise<RunResult<T>> {
  const { lease, askedAtMs } = run;
  const { rate } = run.terms;
  const deadline = withDeadline(request.signal, run.deadlineMs - run.ageMs(), tooLate(run));
  const onError = request.onProgressError;
  const progress = createProgressReporter({ ds: deps.ds, clock: deps.clock, lease, onError });
  const report: ReportProgress = (done) => {
    request.onProgress?.(done);
    progress.report(done);
  };
  try {
    const result = await holdLease(
      { ds: deps.ds, clock: deps.clock, lease, ...settings, askedAtMs, rate, signal: deadline.signal },
      (held) => request.work(underLease(deps, held, report)),
    );
    return { outcome: 'completed', result, wanted: [...listOf(result.next), ...(await wake(deps, lease))] };
  } catch (error) {
    return await concludeFailure(deps, settings, run, await withHolder(deps, lease, asStrataError(error)));
  } finally {
    deadline.clear();
    await progress.lastWrite();
  }
}

/** A lock on a file of the repository is not one on the source: the tools tell no difference. */
async function withHolder(
  { ds }: ServiceDeps,
  { repositoryId }: ChainLease,
  error: StrataError,
): Promise<StrataError> {
  if (error.code !== 'source_in_use') return error;
  try {
    const { rootPath } = await getRepository(ds, repositoryId);
    return await explainLock(error, rootPath);
  } catch (trouble) {
    // The job is settled with what is known, or not at all.
    if (isStrataError(trouble)) return error;
    throw trouble;
  }
}

async function concludeFailure<T extends Outcome>(
  deps: ServiceDeps,
  settings: LeaseSettings,
  { lease, deadlineMs, ageMs }: Run,
  error: StrataError,
): Promise<RunResult<T>> {
  const decision = decideFailure({
    error,
    attempt: lease.attempt,
    maxAttempts: settings.maxAttempts,
    ageMs: ageMs(),
    deadlineMs,
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
    case 'yield':
      return yieldChain(deps.ds, lease, failure);
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
