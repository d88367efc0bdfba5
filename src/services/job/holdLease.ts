import type { RateLimit } from '../../datapath/index.js';
import type { DataSource } from '../../db/database.js';
import { assertLease, cancelledJob, type ChainLease, leaseLost, renewLease } from '../../db/job/lease.js';
import { isStrataError, StrataError } from '../../shared/errors.js';
import { abortable } from '../../shared/abort.js';
import type { Clock } from '../../shared/clock.js';

/** A lease while its work runs. */
export interface HeldLease {
  lease: ChainLease;
  /** Aborts when the lease is lost or may be, when the job is cancelled, and when the process stops. */
  signal: AbortSignal;
  /** What the job may move now: looked at again with every renewal, because the repository's other jobs come and go. */
  rate: RateLimit;
  /** Asks the database now; the last thing before a publishing rename. */
  assertHeld(): Promise<void>;
}

export interface HoldLeaseOptions {
  ds: DataSource;
  clock: Clock;
  lease: ChainLease;
  leaseMs: number;
  /** Monotonic ms at which the lease was asked for; it cannot run out before this plus `leaseMs`. */
  askedAtMs: number;
  renewEveryMs: number;
  /** Bytes per second that the job may move at first; null: no limit. */
  rate: number | null;
  /** Aborts when the worker hands the job back. */
  signal: AbortSignal;
}

/**
 * Runs `work` while renewing the lease. The watchdog measures on the monotonic clock from the moment at which the last
 * successful renewal was sent: a frozen database, or a process that was frozen itself, ends the work before the
 * database would give the chain to another, without any event having to arrive.
 */
export async function holdLease<T>(
  options: HoldLeaseOptions,
  work: (held: HeldLease) => Promise<T>,
): Promise<T> {
  const lost = new AbortController();
  const signal = AbortSignal.any([options.signal, lost.signal]);
  let rate = options.rate;
  const heart = startHeartbeat(options, lost, (renewed) => {
    rate = renewed;
  });
  try {
    const result = await work({
      lease: options.lease,
      signal,
      rate: () => rate ?? undefined,
      assertHeld: async () => {
        // A process that was frozen may have come here before the timer of its watchdog.
        heart.watch();
        if (signal.aborted) throw signal.reason;
        try {
          await abortable(assertLease(options.ds, options.lease, options.leaseMs), signal);
        } catch (error) {
          if (isStrataError(error, 'cancelled', 'lease_lost')) lost.abort(error);
          throw error;
        }
      },
    });
    return result;
  } catch (error) {
    // What aborted the work is the cause; what the work stumbled over on its way out is not.
    if (signal.aborted && isStrataError(signal.reason)) throw signal.reason;
    // Nobody cancelled: a failure that calls itself so would end the job as if somebody had.
    if (isStrataError(error, 'cancelled')) {
      throw new StrataError('internal', `The work stopped itself: ${error.message}`, { cause: error });
    }
    throw error;
  } finally {
    heart.stop();
  }
}

function startHeartbeat(
  options: HoldLeaseOptions,
  lost: AbortController,
  onRate: (rate: number | null) => void,
): { watch(): void; stop(): void } {
  const { ds, clock, lease, leaseMs, renewEveryMs } = options;
  let safeUntil = options.askedAtMs + leaseMs;
  const watch = () => {
    if (clock.monotonicMs() >= safeUntil - renewEveryMs / 2) lost.abort(leaseLost(lease, 'watchdog'));
  };
  const renew = async () => {
    const sentAt = clock.monotonicMs();
    const { cancelRequested, rate } = await renewLease(ds, lease, leaseMs);
    safeUntil = Math.max(safeUntil, sentAt + leaseMs);
    onRate(rate);
    if (cancelRequested) lost.abort(cancelledJob(lease));
  };
  const beat = () => {
    // First: a process that was frozen must not prolong a lease that it is about to give up.
    watch();
    if (lost.signal.aborted) return;
    // Not after the one before: its connection may be dead without anybody having noticed, and the pool has others.
    renew().catch((error: unknown) => {
      // Anything else may pass: the watchdog decides when it has lasted too long.
      if (isStrataError(error, 'lease_lost')) lost.abort(error);
    });
  };
  const beats = setInterval(beat, renewEveryMs);
  // Twice within the margin that `watch` keeps, so that it is never late.
  const watches = setInterval(watch, Math.min(1_000, renewEveryMs / 4));
  const stop = () => {
    clearInterval(beats);
    clearInterval(watches);
  };
  return { watch, stop };
}
