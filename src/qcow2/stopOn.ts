import { abortReason } from '../shared/abort.js';

/** The longest that a Node.js timer can wait; beyond it fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Calls `stop` once when the signal aborts, with its reason, or when `deadlineMs` milliseconds have passed, with what
 * `late` returns.
 * A listener instead of AbortSignal.any: in Node 20 a long-lived signal keeps every signal derived from it.
 * @returns a function that ends the watch; it must be called, or the timer keeps the process alive
 */
export function stopOn(
  signal: AbortSignal | undefined,
  deadlineMs: number,
  late: () => Error,
  stop: (reason: Error) => void,
): () => void {
  const onAbort = (): void => {
    if (signal) stop(abortReason(signal));
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer =
    deadlineMs === Number.POSITIVE_INFINITY
      ? undefined
      : setTimeout(() => stop(late()), Math.min(deadlineMs, MAX_TIMER_MS));
  return () => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  };
}
