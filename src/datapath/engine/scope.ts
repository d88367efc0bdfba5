import { abortReason } from '../../shared/abort.js';
import { StrataError } from '../../shared/errors.js';

/** One operation: all that it started ends when its signal aborts. */
export interface Scope {
  signal: AbortSignal;
  /** Ends the operation with an error. The first one is kept. */
  fail(reason: unknown): void;
  /** Ends what still runs, when its results are not wanted any more for a reason that somebody else reports. */
  stop(): void;
}

/**
 * Runs work whose first failure, wherever it happens, stops the rest, and is what the caller gets: not the consequences
 * of the stop in other places.
 */
export async function inScope<T>(
  parent: AbortSignal | undefined,
  work: (scope: Scope) => Promise<T>,
): Promise<T> {
  const own = new AbortController();
  const signal = parent ? AbortSignal.any([parent, own.signal]) : own.signal;
  const stopped = new StrataError('cancelled', 'The results are no longer wanted.');
  const fail = (reason: unknown) =>
    own.abort(reason instanceof Error ? reason : new Error('The work failed.', { cause: reason }));
  try {
    return await work({ signal, fail, stop: () => own.abort(stopped) });
  } catch (error) {
    fail(error);
    throw signal.reason === stopped ? error : abortReason(signal);
  }
}
