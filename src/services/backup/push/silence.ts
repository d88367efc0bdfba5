import type { Clock } from '../../../shared/clock.js';

/** Measures how long nothing has changed, on the monotonic clock, beginning when it is made. */
export function createSilence(clock: Clock): { since: (signs: string) => number } {
  let last: string | undefined;
  let atMs = clock.monotonicMs();
  return {
    /** @returns milliseconds since `signs` were others than now; since the beginning, if they never were */
    since: (signs) => {
      const now = clock.monotonicMs();
      if (last !== undefined && signs !== last) atMs = now;
      last = signs;
      return now - atMs;
    },
  };
}
