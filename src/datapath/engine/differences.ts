import type { Extent } from '../../shared/extents.js';
import { type DigestRun, DIGEST_BYTES } from '../digests/index.js';
import { type BlockRange, extentOf } from './blockRange.js';

/**
 * The blocks in which two disks differ, as extents in order. Both sides cover the same blocks without gaps, and are read
 * to their ends.
 * @param virtualSizeBytes end of the last extent, if the last block differs
 */
export async function* differingExtents(
  ours: AsyncIterable<DigestRun>,
  theirs: AsyncIterable<DigestRun>,
  virtualSizeBytes: number,
): AsyncGenerator<Extent, void, undefined> {
  const other = theirs[Symbol.asyncIterator]();
  let run: DigestRun | undefined;
  let held: BlockRange | undefined;
  try {
    for await (const mine of ours) {
      let block = mine.first;
      while (block < mine.first + mine.count) {
        while (!run || run.first + run.count <= block) run = await nextRun(other, block);
        const end = Math.min(mine.first + mine.count, run.first + run.count);
        for (const range of differingRanges(mine, run, block, end)) {
          if (held && held.end === range.first) held.end = range.end;
          else {
            if (held) yield extentOf(held, virtualSizeBytes);
            held = range;
          }
        }
        block = end;
      }
    }
    if (held) yield extentOf(held, virtualSizeBytes);
    // The checksums of the indexes are verified at their ends: what was decided on them is proved only then.
    while (!(await other.next()).done);
  } finally {
    await other.return?.();
  }
}

/** The ranges within two runs that differ. */
export function* differingRanges(
  a: DigestRun,
  b: DigestRun,
  first: number,
  end: number,
): Generator<BlockRange, void, undefined> {
  if (a.kind === 'zero' && b.kind === 'zero') return;
  if (a.kind === 'zero' || b.kind === 'zero') {
    yield { first, end };
    return;
  }
  for (let block = first; block < end; block++) {
    const at = (block - a.first) * DIGEST_BYTES;
    const from = (block - b.first) * DIGEST_BYTES;
    const differs = a.digests.compare(b.digests, from, from + DIGEST_BYTES, at, at + DIGEST_BYTES) !== 0;
    if (differs) yield { first: block, end: block + 1 };
  }
}

async function nextRun(runs: AsyncIterator<DigestRun>, block: number): Promise<DigestRun> {
  const { value, done } = await runs.next();
  if (done) throw new RangeError(`The other side has no digest of block ${block}.`);
  return value;
}
