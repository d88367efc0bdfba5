import { throwIfAborted } from '../../shared/abort.js';
import { untilAborted } from '../untilAborted.js';
import type { Scope } from './scope.js';

/** Results that wait for an earlier, slower one; in multiples of the slots. They are small, the slots are not. */
const WINDOW_PER_SLOT = 4;

export interface OrderedMap<T, S, R> {
  items: AsyncIterable<T>;
  /** What one piece of work has for itself, such as a buffer. Their number is how many run at once. */
  slots: readonly S[];
  work: (item: T, slot: S) => Promise<R>;
  scope: Scope;
}

/**
 * Works on items side by side and yields the results in the items' order. The first failure, of the work or of the items,
 * ends the scope at once, even if an earlier result is still awaited. When it ends, no work is running any more.
 */
export async function* orderedMap<T, S, R>({
  items,
  slots,
  work,
  scope,
}: OrderedMap<T, S, R>): AsyncGenerator<R, void, undefined> {
  const free = slotPool(slots);
  const running: Running<R>[] = [];
  const run = async (item: T, slot: S, entry: { settled: boolean }): Promise<R> => {
    try {
      return await work(item, slot);
    } catch (error) {
      scope.fail(error);
      throw error;
    } finally {
      entry.settled = true;
      free.give(slot);
    }
  };
  const start = (item: T, slot: S) => {
    const entry = { settled: false };
    const result = run(item, slot, entry);
    // Its failure ends the scope at once; here it is only kept from counting as unhandled until its turn comes.
    result.catch(() => undefined);
    running.push(Object.assign(entry, { result }));
  };
  let ended = false;
  try {
    for await (const item of untilAborted(items, scope.signal)) {
      let slot = free.take();
      while (slot === undefined || running.length >= slots.length * WINDOW_PER_SLOT) {
        // Whoever takes the results may have reason to stop: what is ready does not wait for a slot.
        if (running[0]?.settled || slot !== undefined) yield await next(running);
        else await free.given();
        slot ??= free.take();
      }
      throwIfAborted(scope.signal);
      start(item, slot);
    }
    while (running.length > 0) yield await next(running);
    ended = true;
  } catch (error) {
    // Before the stop below, which would otherwise be what the others report.
    scope.fail(error);
    throw error;
  } finally {
    if (!ended) scope.stop();
    await Promise.allSettled(running.map(({ result }) => result));
  }
}

interface Running<R> {
  result: Promise<R>;
  settled: boolean;
}

async function next<R>(running: Running<R>[]): Promise<R> {
  const [head] = running;
  if (!head) throw new RangeError('Nothing is running.');
  const result = await head.result;
  running.shift();
  return result;
}

function slotPool<S>(slots: readonly S[]) {
  const free = [...slots];
  let wake: (() => void) | undefined;
  return {
    take: (): S | undefined => free.pop(),
    give: (slot: S): void => {
      free.push(slot);
      wake?.();
    },
    /** Resolves when a slot is given back; only one may wait. */
    given: (): Promise<void> =>
      new Promise((resolve) => {
        wake = resolve;
      }),
  };
}
