import type { Logger } from '../../observability/logger.js';
import type { Clock } from '../../shared/clock.js';

export interface BackgroundChore {
  /** Begins a round when it is time and none runs; returns at once, because a sweep must not wait for a slow disk or host. */
  run: () => Promise<void>;
  /** Settles when the running round, if any, has ended; a stopping process waits for it. */
  settled: () => Promise<void>;
}

export interface BackgroundOptions {
  /** For the log. */
  name: string;
  /** Milliseconds from the beginning of one round to that of the next, on the monotonic clock; 0: whenever it is asked. */
  everyMs: number;
  signal: AbortSignal;
}

/** A chore of the keeper that takes its time; a round that fails is logged, and the next one tries again. */
export function inBackground(
  { clock, log }: { clock: Clock; log: Logger },
  { name, everyMs, signal }: BackgroundOptions,
  work: () => Promise<void>,
): BackgroundChore {
  let begunAt = Number.NEGATIVE_INFINITY;
  let round: Promise<void> | undefined;
  return {
    run: async () => {
      if (round || signal.aborted || clock.monotonicMs() - begunAt < everyMs) return;
      begunAt = clock.monotonicMs();
      round = work()
        .catch((error: unknown) =>
          log.warn({ err: error, chore: name }, 'a chore failed; its next round tries again'),
        )
        .finally(() => {
          round = undefined;
        });
    },
    settled: async () => round,
  };
}
