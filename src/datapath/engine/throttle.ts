import { type Clock, systemClock } from '../../shared/clock.js';

/** The most that may be moved now, in bytes per second; undefined: no limit. It may change from call to call. */
export type RateLimit = () => number | undefined;

/** Time that may be caught up after a pause, in ms: longer bursts would defeat the limit. */
const BURST_MS = 250;
/** The longest sleep: a limit that is raised, or taken away, takes effect after it. */
const LOOK_AGAIN_MS = 500;

/** Waits until that many bytes may be moved. */
export type Throttle = (bytes: number) => Promise<void>;

/**
 * Limits the average rate.
 * @param rate undefined: there is no limit, and none can come
 */
export function createThrottle(
  rate: RateLimit | undefined,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Throttle {
  if (!rate) return () => Promise.resolve();
  /** Up to here the time that has passed is paid for with bytes. */
  let paidMs = clock.monotonicMs();
  const wait = async (bytes: number) => {
    paidMs = Math.max(paidMs, clock.monotonicMs() - BURST_MS);
    for (let left = bytes; left > 0; ) {
      const bytesPerSecond = rate();
      if (bytesPerSecond === undefined) {
        paidMs = clock.monotonicMs();
        return;
      }
      const neededMs = (left / bytesPerSecond) * 1000;
      const missingMs = paidMs + neededMs - clock.monotonicMs();
      if (missingMs > 0) await clock.sleep(Math.min(missingMs, LOOK_AGAIN_MS), signal);
      // What has passed was at the rate of before: a limit that is raised does not count backwards.
      const passedMs = Math.min(clock.monotonicMs() - paidMs, neededMs);
      paidMs += passedMs;
      left = passedMs === neededMs ? 0 : left - (passedMs * bytesPerSecond) / 1000;
    }
  };
  // One after the other, so that however many wait, one timer runs. A failure is everybody's: the signal has aborted.
  let last = Promise.resolve();
  return (bytes) => {
    last = last.then(() => wait(bytes));
    return last;
  };
}
