import { createHash } from 'node:crypto';

/** A number in the open interval (0, 1). */
export type RandomNumber = () => number;

const NUMBERS_PER_HASH = 4;
const TOP_BITS = 53n;

/**
 * Random numbers that follow from a seed: SHA-256 in counter mode. Whoever does not know the seed cannot tell them
 * beforehand; whoever does gets the same ones again.
 */
export function createSeededRandom(seed: string): RandomNumber {
  let counter = 0;
  let numbers: number[] = [];
  const refill = () => {
    const hash = createHash('sha256').update(`${seed}:${counter++}`).digest();
    numbers = Array.from({ length: NUMBERS_PER_HASH }, (_, i) => {
      const bits = hash.readBigUInt64LE(i * 8) >> (64n - TOP_BITS);
      return (Number(bits) + 0.5) / 2 ** Number(TOP_BITS);
    });
  };
  return () => {
    if (numbers.length === 0) refill();
    return numbers.pop() ?? 0.5;
  };
}
