import { abortable, throwIfAborted } from '../shared/abort.js';

/** The same items; throws the signal's reason as soon as it aborts, even while the next item is awaited. */
export async function* untilAborted<T>(
  items: AsyncIterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, undefined> {
  const iterator = items[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      throwIfAborted(signal);
      const next = await abortable(iterator.next(), signal);
      if (next.done) {
        ended = true;
        return;
      }
      yield next.value;
    }
  } finally {
    if (!ended) await endEarly(iterator, signal);
  }
}

/** An iterator that hangs in `next` would hang in `return` too; after an abort it is told, and not waited for. */
async function endEarly(iterator: AsyncIterator<unknown>, signal: AbortSignal | undefined): Promise<void> {
  const ending = iterator.return?.();
  if (!ending) return;
  if (!signal?.aborted) await ending;
  // Whatever it still reports, the abort is what the consumer was told.
  else ending.then(undefined, () => undefined);
}
