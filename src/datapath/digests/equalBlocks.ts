import type { BlockDigests } from './block.js';
import { type DigestRun, DIGEST_BYTES } from './runs.js';

/**
 * Which of consecutive blocks, beginning at `first`, are the same as in `others`: 1 for each that is. Blocks that `others`
 * does not cover are not.
 */
export function equalBlocks(
  first: number,
  { digests, zero }: BlockDigests,
  others: readonly DigestRun[],
): Uint8Array {
  const equal = new Uint8Array(zero.length);
  for (const run of others) {
    for (let block = run.first; block < run.first + run.count; block++) {
      const at = block - first;
      if (run.kind === 'zero') equal[at] = zero[at] ?? 0;
      else if (zero[at] === 0) equal[at] = sameDigest(digests, at, run.digests, block - run.first) ? 1 : 0;
    }
  }
  return equal;
}

function sameDigest(a: Buffer, atA: number, b: Buffer, atB: number): boolean {
  const [from, to] = [atA * DIGEST_BYTES, atB * DIGEST_BYTES];
  return a.compare(b, to, to + DIGEST_BYTES, from, from + DIGEST_BYTES) === 0;
}
