import { type Clock, systemClock } from '../../shared/clock.js';

/** Time that may be caught up after a pause, in ms: longer bursts would defeat the limit. */
const BURST_MS = 250;

/** Waits until that many bytes may be moved. */
export type Throttle = (bytes: number) => Promise<void>;

/**
 * Limits the average rate.
 * @param bytesPerSecond undefined: no limit
 */
export function createThrottle(
  bytesPerSecond: number | undefined,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Throttle {
  if (bytesPerSecond === undefined) return () => Promise.resolve();
  let dueMs = clock.monotonicMs();
  const wait = async (bytes: number) => {
    const now = clock.monotonicMs();
    dueMs = Math.max(dueMs, now - BURST_MS) + (bytes / bytesPerSecond) * 1000;
    if (dueMs > now) await clock.sleep(dueMs - now, signal);
  };
  // One after the other, so that however many wait, one timer runs. A failure is everybody's: the signal has aborted.
  let last = Promise.resolve();
  return (bytes) => {
    last = last.then(() => wait(bytes));
    return last;
  };
}
