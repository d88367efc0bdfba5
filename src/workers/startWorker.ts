import type { JobKind } from '../shared/jobs.js';
import { type Job, Worker } from '../queue/bullmq.js';
import { queueName, queuePrefix } from '../queue/catalogue.js';
import { StrataError } from '../shared/errors.js';
import type { WorkerDeps } from './deps.js';
import { processEntry } from './processEntry.js';

/**
 * The lock of a queue entry only decides when BullMQ gives it to another worker; the lease in the database decides who
 * may work. Longer than the lease, so that a dead worker's chain is free by the time its entry is delivered again.
 */
const LOCK_MS = 60_000;
const STALLED_CHECK_MS = 15_000;
/** Attempts are counted in the database; BullMQ must not give a job up because workers died. */
const MOST_STALLS = 1_000_000;

export interface RunningWorker {
  /** Takes no more entries, waits up to `graceMs` for the running ones, then hands them back; never rejects twice. */
  stop(graceMs: number): Promise<void>;
  /** A second signal: hand everything back now. */
  stopNow(): void;
}

/** Serves one kind of work for one pool. */
export function startWorker(
  deps: WorkerDeps,
  kind: JobKind,
  pool: string,
  concurrency: number,
): RunningWorker {
  const name = queueName(kind, pool);
  const stopping = new AbortController();
  // BullMQ looks at the number of parameters: with exactly three it passes its own signal.
  const process = async (
    entry: Job,
    token: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string> =>
    processEntry(
      deps,
      kind,
      entry,
      token,
      signal ? AbortSignal.any([signal, stopping.signal]) : stopping.signal,
    );
  const worker = new Worker(name, process, {
    connection: deps.redis,
    prefix: queuePrefix(deps.redisPrefix, name),
    concurrency,
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_CHECK_MS,
    maxStalledCount: MOST_STALLS,
  });
  worker.on('error', (error) => deps.log.warn({ err: error, queue: name }, 'the queue reports an error'));
  const stopNow = () => stopping.abort(new StrataError('shutting_down', 'The worker is stopping.'));
  return {
    stopNow,
    stop: async (graceMs) => {
      const closed = worker.close();
      const timer = setTimeout(stopNow, graceMs);
      try {
        await closed;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
