import type { RandomNumber } from './seededRandom.js';

/** A uniform sample without replacement of a sequence whose length is not known before its end. */
export interface Reservoir<T> {
  /** The next `count` items of the sequence; `item` is called only for those that are drawn, with 0 to `count` - 1. */
  offer(count: number, item: (index: number) => T): void;
  /** The sample so far, in random order: each beginning of it is a uniform sample, too. */
  take(): T[];
}

/**
 * Algorithm L (Li, "Reservoir-Sampling Algorithms of Time Complexity O(n(1 + log(N/n)))", ACM TOMS 20, 1994): it computes
 * how many items to pass over, so that a disk of 10 TiB costs some hundred random numbers and not 160 million.
 */
export function createReservoir<T>(size: number, random: RandomNumber): Reservoir<T> {
  if (size === 0) return { offer: () => undefined, take: () => [] };
  const kept: T[] = [];
  let seen = 0;
  let weight = Math.exp(Math.log(random()) / size);
  const skip = () => Math.floor(Math.log(random()) / Math.log1p(-weight));
  let drawn = size + skip();
  return {
    offer(count, item) {
      const end = seen + count;
      // As long as it is not full, all that was seen is in it.
      while (kept.length < Math.min(size, end)) kept.push(item(kept.length - seen));
      while (drawn < end) {
        kept[Math.floor(random() * size)] = item(drawn - seen);
        weight *= Math.exp(Math.log(random()) / size);
        drawn += skip() + 1;
      }
      seen = end;
    },
    take() {
      const sample = [...kept];
      for (let i = sample.length - 1; i > 0; i--) {
        const j = Math.floor(random() * (i + 1));
        const held = sample[i] as T;
        sample[i] = sample[j] as T;
        sample[j] = held;
      }
      return sample;
    },
  };
}
