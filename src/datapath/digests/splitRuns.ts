import type { BlockDigests } from './block.js';
import { type DigestRun, DIGEST_BYTES } from './runs.js';

/**
 * The runs of consecutive blocks that were digested together, beginning at block `first`.
 * @param without blocks that are in no run: one byte each, 1 to leave it out
 */
export function runsOf(first: number, { digests, zero }: BlockDigests, without?: Uint8Array): DigestRun[] {
  const runs: DigestRun[] = [];
  const kind = (i: number) => (without?.[i] === 1 ? 'none' : zero[i] === 1 ? 'zero' : 'data');
  let start = 0;
  for (let i = 1; i <= zero.length; i++) {
    if (i < zero.length && kind(i) === kind(start)) continue;
    const count = i - start;
    if (kind(start) === 'zero') runs.push({ kind: 'zero', first: first + start, count });
    else if (kind(start) === 'data') {
      const part = digests.subarray(start * DIGEST_BYTES, i * DIGEST_BYTES);
      runs.push({ kind: 'data', first: first + start, count, digests: part });
    }
    start = i;
  }
  return runs;
}
