import type { BlockDigests } from './block.js';
import { type DigestRun, DIGEST_BYTES } from './runs.js';

/** The runs of consecutive blocks that were digested together, beginning at block `first`. */
export function runsOf(first: number, { digests, zero }: BlockDigests): DigestRun[] {
  const runs: DigestRun[] = [];
  let start = 0;
  for (let i = 1; i <= zero.length; i++) {
    if (i < zero.length && zero[i] === zero[start]) continue;
    const count = i - start;
    if (zero[start] === 1) runs.push({ kind: 'zero', first: first + start, count });
    else {
      const part = digests.subarray(start * DIGEST_BYTES, i * DIGEST_BYTES);
      runs.push({ kind: 'data', first: first + start, count, digests: part });
    }
    start = i;
  }
  return runs;
}
