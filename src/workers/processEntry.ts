import type { JobKind, Delivery } from '../shared/jobs.js';
import { DelayedError, type Job, UnrecoverableError } from '../queue/bullmq.js';
import { parsePayload } from '../queue/catalogue.js';
import { type RunResult, runUnderLease } from '../services/job/runUnderLease.js';
import { isStrataError } from '../shared/errors.js';
import type { WorkerDeps } from './deps.js';
import type { HandlerOutcome } from './handlers.js';

/** How long an entry waits that finds the chain held by another process. */
const HELD_DELAY_MS = 2_000;

/**
 * Works on one queue entry: parse, run under the chain's lease, queue the next head. The entry fails in BullMQ where
 * the job failed, so that the board shows what the catalogue says.
 */
export async function processEntry(
  deps: WorkerDeps,
  kind: JobKind,
  entry: Job,
  token: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  const payload = parsePayload(entry.data);
  const log = deps.log.child({ jobId: payload.job_id, delivery: payload.delivery, kind });
  const stopTimer = deps.metrics.jobSeconds.startTimer({ kind });
  deps.metrics.running.inc({ kind });
  try {
    const tell = phaseTeller(entry, log);
    const result = await runUnderLease(deps.services, deps.lease, {
      kind,
      jobId: payload.job_id,
      delivery: payload.delivery,
      signal,
      onProgressError: (error) => log.warn({ err: error }, 'progress was not written'),
      onProgress: ({ phase }) => tell(phase),
      work: (under) => deps.handlers[kind](under),
    });
    if (result.outcome === 'held') {
      await note(entry, log, 'waits: another worker still holds the lease of its chain');
      await entry.moveToDelayed(deps.services.clock.now().getTime() + HELD_DELAY_MS, token);
      throw new DelayedError();
    }
    if (result.outcome === 'parked')
      await note(
        entry,
        log,
        'waits for a slot of its repository (max_parallel_jobs); another entry is made then',
      );
    for (const wanted of result.wanted) await deliver(deps, wanted);
    return conclude(deps, kind, log, stopTimer, result);
  } catch (error) {
    // The intent is gone (dropped from the catalogue): an entry without one has nothing to do.
    if (isStrataError(error, 'not_found')) {
      log.warn({ err: error }, 'the queue entry has no intent; dropped');
      return 'dropped';
    }
    throw error;
  } finally {
    deps.metrics.running.dec({ kind });
  }
}

/** A line in the entry's log, which Bull Board shows; a courtesy, without which the work goes on. */
async function note(entry: Job, log: WorkerDeps['log'], line: string): Promise<void> {
  try {
    await entry.log(line);
  } catch (error) {
    log.debug({ err: error }, 'the line for the board was not written');
  }
}

/** Tells the board which phase a job is in: that it waits for its agent, among others. */
function phaseTeller(entry: Job, log: WorkerDeps['log']): (phase: string) => void {
  let last = '';
  return (phase) => {
    if (phase === last) return;
    last = phase;
    void note(entry, log, `phase: ${phase}`);
  };
}

/** A head that cannot be queued now is found by the keeper's sweep. */
async function deliver(deps: WorkerDeps, next: Delivery): Promise<void> {
  try {
    await deps.queue.deliver(next);
  } catch (error) {
    deps.log.warn({ err: error, jobId: next.jobId }, 'the next job was not queued: the sweeper will do it');
  }
}

function conclude(
  deps: WorkerDeps,
  kind: JobKind,
  log: WorkerDeps['log'],
  stopTimer: (labels: { type: string }) => number,
  result: Exclude<RunResult<HandlerOutcome>, { outcome: 'held' }>,
): string {
  if (result.outcome === 'nothing_to_do' || result.outcome === 'parked') {
    log.info(result.outcome);
    return result.outcome;
  }
  if (result.outcome === 'completed') {
    const { type, bytes, demotedReason, validation, warning } = result.result;
    if (warning) log.warn({ err: warning }, 'completed, but not all was left tidy');
    const seconds = stopTimer({ type });
    deps.metrics.jobsEnded.inc({ kind, outcome: 'completed', code: '' });
    deps.metrics.bytesTransferred.inc({ type }, bytes);
    if (validation) countValidation(deps, validation);
    if (demotedReason) deps.metrics.demotions.inc({ reason: demotedReason });
    countTracker(deps, log, result.result);
    const { tracker, audited } = result.result;
    log.info({ type, bytes, seconds, demotedReason, tracker, audited, ...validation }, 'completed');
    return 'completed';
  }
  const { error, decision } = result;
  deps.metrics.jobsEnded.inc({
    kind,
    outcome: decision.action === 'end' ? decision.status : decision.action,
    code: error.code,
  });
  if (error.code === 'lease_lost')
    deps.metrics.leasesLost.inc({ noticed_by: String(error.details?.['noticed_by']) });
  if (decision.action === 'end' && decision.status === 'cancelled') {
    log.info('cancelled');
    return 'cancelled';
  }
  if (decision.action === 'yield') {
    log.info({ reason: error.message }, 'yields the chain');
    return 'yields the chain';
  }
  log.error({ err: error, details: error.details, decision }, 'the work failed');
  // Attempts are counted in the database and given a new entry: BullMQ must not repeat this one by itself.
  throw new UnrecoverableError(`${error.code}: ${error.message}`);
}

function countValidation(
  { metrics }: WorkerDeps,
  { level, healthy, provedBytes, newlyDamaged }: NonNullable<HandlerOutcome['validation']>,
): void {
  metrics.validations.inc({ level, healthy: String(healthy) });
  metrics.provedBytes.inc(provedBytes);
  metrics.damagedBackups.inc(newlyDamaged);
}

function countTracker(
  { metrics }: WorkerDeps,
  log: WorkerDeps['log'],
  { type, demotedReason, tracker, audited = 0 }: HandlerOutcome,
): void {
  if (tracker) metrics.auditedBlocks.inc({ tracker }, audited);
  if (demotedReason !== 'tracker_lied') return;
  metrics.trackerLies.inc();
  log.warn({ type }, 'the tracker called changed blocks unchanged; the whole disk was compared');
}
