import { setTimeout as delay } from 'node:timers/promises';
import { StrataError } from './errors.js';

/** Throws the signal's reason as an error if it has aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortReason(signal);
}

/** The reason of an aborted signal as an Error; `cancelled` when the reason says nothing. */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  if (reason instanceof Error && reason.name !== 'AbortError') return reason;
  return new StrataError('cancelled', 'The work was aborted.', { cause: reason });
}

/**
 * A signal that aborts with `deadline_exceeded` after `ms` milliseconds, or earlier with the parent's reason.
 * Call `clear` when the work is done, or the timer keeps running.
 * @param what names the work in the error, or is the whole error
 */
export function withDeadline(
  parent: AbortSignal | undefined,
  ms: number,
  what: string | StrataError,
): { signal: AbortSignal; clear: () => void } {
  const own = new AbortController();
  const timer = setTimeout(() => {
    own.abort(
      typeof what === 'string'
        ? new StrataError('deadline_exceeded', `${what} did not finish within ${ms} ms.`)
        : what,
    );
  }, ms);
  const signal = parent ? AbortSignal.any([parent, own.signal]) : own.signal;
  return { signal, clear: () => clearTimeout(timer) };
}

/**
 * What `work` gives within `ms` milliseconds; undefined where it takes longer. Nobody waits for it any more then, and nobody
 * hears of its failure: for looks at file systems that may hang. Keeps no process alive.
 */
export async function atMost<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  const timer = new AbortController();
  const { signal } = timer;
  // Whoever aborts does not wait for it either.
  const late = delay(ms, undefined, { signal, ref: false }).catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
    work.catch(() => undefined);
  }
}

/** Rejects with the signal's reason as soon as it aborts; otherwise settles as `work` does. Does not stop `work` itself. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  throwIfAborted(signal);
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(abortReason(signal));
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort);
  }
}
