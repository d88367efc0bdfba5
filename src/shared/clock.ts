import { setTimeout as delay } from 'node:timers/promises';

/** The only reader of time. Wall time names things; monotonic time measures how long something took. */
export interface Clock {
  /** Wall time. It may jump: never subtract two of these to decide anything. */
  now(): Date;
  /** Milliseconds on a clock that never goes back. */
  monotonicMs(): number;
  /** Waits `ms` milliseconds; rejects with the signal's reason when it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, signal ? { signal } : {});
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    }
  },
};
