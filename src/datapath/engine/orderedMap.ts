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
 * Works on items side by side and yields the results in the items' order. The first failure ends the scope at once,
 * even if an earlier result is still awaited. When it ends, no work is running any more.
 */
export async function* orderedMap<T, S, R>({
  items,
  slots,
  work,
  scope,
}: OrderedMap<T, S, R>): AsyncGenerator<R, void, undefined> {
  const free = slotPool(slots);
  const running: Promise<R>[] = [];
  const run = async (item: T, slot: S): Promise<R> => {
    try {
      return await work(item, slot);
    } catch (error) {
      scope.fail(error);
      throw error;
    } finally {
      free.give(slot);
    }
  };
  let ended = false;
  try {
    for await (const item of untilAborted(items, scope.signal)) {
      const slot = await free.take();
      throwIfAborted(scope.signal);
      const result = run(item, slot);
      // Its failure ends the scope at once; here it is only kept from counting as unhandled until its turn comes.
      result.catch(() => undefined);
      running.push(result);
      while (running.length >= slots.length * WINDOW_PER_SLOT) yield await next(running);
    }
    while (running.length > 0) yield await next(running);
    ended = true;
  } finally {
    if (!ended) scope.stop();
    await Promise.allSettled(running);
  }
}

async function next<R>(running: Promise<R>[]): Promise<R> {
  const [head] = running;
  if (!head) throw new RangeError('Nothing is running.');
  const result = await head;
  void running.shift();
  return result;
}

function slotPool<S>(slots: readonly S[]) {
  const free = [...slots];
  const waiting: ((slot: S) => void)[] = [];
  return {
    take: (): Promise<S> => {
      const slot = free.pop();
      return slot === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(slot);
    },
    give: (slot: S): void => {
      const waiter = waiting.shift();
      if (waiter) waiter(slot);
      else free.push(slot);
    },
  };
}
