import type { Job } from '../contract/index.js';
import type { Clock } from '../shared/clock.js';
import { isOpen } from '../shared/jobs.js';
import { isStrataError, StrataError } from '../shared/errors.js';
import type { CallOptions } from './transport.js';

export interface WaitOptions extends CallOptions {
  /** Called with the job after each look at it, the last included. */
  onProgress?: ((job: Job) => void) | undefined;
  /** How long the API may be away in the middle (a reload, a restart), in milliseconds. 60,000 by default. */
  patienceMs?: number | undefined;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1000;
const PATIENCE_MS = 60_000;

/** True when a job has ended, however it did. */
export function hasEnded(job: Pick<Job, 'status'>): boolean {
  return !isOpen(job.status);
}

/**
 * Looks at a job until it has ended: after 100 ms, then less and less often, once a second at last. A job that failed is
 * returned, not thrown: its `error` says why. There is no deadline but the signal, since a backup may take days.
 * @throws the signal's reason when it aborts; the job goes on
 * @throws api_unreachable when the API stays away for longer than `patienceMs`
 */
export async function waitForJob(
  look: (options: CallOptions) => Promise<Job>,
  clock: Clock,
  options: WaitOptions = {},
): Promise<Job> {
  const { signal, onProgress, patienceMs = PATIENCE_MS } = options;
  let pauseMs = FIRST_PAUSE_MS;
  let awaySince: number | undefined;
  for (;;) {
    try {
      const job = await look({ signal });
      awaySince = undefined;
      onProgress?.(job);
      if (hasEnded(job)) return job;
    } catch (error) {
      if (signal?.aborted || !isPassing(error)) throw error;
      awaySince ??= clock.monotonicMs();
      if (clock.monotonicMs() - awaySince >= patienceMs) throw afterPatience(error);
    }
    await clock.sleep(pauseMs, signal);
    pauseMs = Math.min(pauseMs * 1.5, LONGEST_PAUSE_MS);
  }
}

/** The job does not depend on the API, so an API that is away says nothing about it. */
function isPassing(error: unknown): boolean {
  return isStrataError(
    error,
    'api_unreachable',
    'database_unavailable',
    'queue_unavailable',
    'shutting_down',
    // Of one look: an API that stands still, or a network that loses everything. The job's own deadline is in its row.
    'deadline_exceeded',
  );
}

/** A look that got no answer in its time must not read as if the job had not ended in its time. */
function afterPatience(error: unknown): unknown {
  if (!isStrataError(error, 'deadline_exceeded')) return error;
  return new StrataError('api_unreachable', error.message, { cause: error });
}
