import type { Clock } from './clock.js';

/** Something that runs out unless it is renewed, as the database tells it. */
export interface Expiring {
  key: string;
  /** Changes with every renewal. */
  token: string;
  /** Milliseconds that are left by the database's clock; 0 or less when it has run out. */
  leftMs: number;
}

/**
 * Judges what has run out by the time that passes here, on the monotonic clock, and believes the database's clock only
 * at the first sight of a token. A clock that is set back does not keep a dead process's lease alive, and one that is
 * set forward does not take the lease of a living process, which renews it in time.
 */
export interface ExpiryWatch {
  /**
   * One look at everything there is.
   * @param theirNow the database's time of the look
   * @returns the keys that have run out
   */
  look(seen: readonly Expiring[], theirNow: Date): Set<string>;
}

/** The database's clock and ours drift apart by less than this from one look to the next, slow statements included. */
const STEP_MS = 2_000;

/** @param longestMs nothing lasts longer than this from one renewal to the next, whatever the database's clock says */
export function createExpiryWatch(clock: Clock, longestMs: number): ExpiryWatch {
  let known = new Map<string, { token: string; endsAtMs: number }>();
  let skewMs: number | undefined;
  let doubtUntilMs = Number.NEGATIVE_INFINITY;
  return {
    look: (seen, theirNow) => {
      const nowMs = clock.monotonicMs();
      const skewBefore = skewMs;
      skewMs = theirNow.getTime() - nowMs;
      // Set forward: what looks as if it had run out may be young. Whoever lives renews it until then.
      if (skewBefore !== undefined && skewMs - skewBefore > STEP_MS) doubtUntilMs = nowMs + longestMs;
      const next = new Map<string, { token: string; endsAtMs: number }>();
      for (const { key, token, leftMs } of seen) {
        const before = known.get(key);
        const endsAtMs = leftMs > 0 ? nowMs + Math.min(leftMs, longestMs) : Math.max(nowMs, doubtUntilMs);
        next.set(key, before?.token === token ? before : { token, endsAtMs });
      }
      known = next;
      return new Set([...next].filter(([, { endsAtMs }]) => endsAtMs <= nowMs).map(([key]) => key));
    },
  };
}
