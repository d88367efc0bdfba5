import { BLOCK_SIZE } from '../../shared/extents.js';
import { blockCount, type DigestRun, sliceRun } from '../digests/runs.js';
import type { KnownRange } from '../sources/index.js';

/** A piece to copy, and what the parent has there. */
export interface PieceBesideParent extends KnownRange {
  parent: DigestRun[];
}

/**
 * Puts beside each piece the parent's runs of the same blocks. Known zeros that the parent has as zeros, too, are left
 * out. The blocks between the pieces are told to `unchanged`, in order.
 * @param pieces in order; bounds at blocks, or the end of the disk
 * @param parent covers the disk without gaps; it is read to its end, because only that proves what was decided on it
 */
export async function* besideParent(
  pieces: AsyncIterable<KnownRange>,
  parent: AsyncIterable<DigestRun>,
  virtualSizeBytes: number,
  unchanged: (run: DigestRun) => void,
): AsyncGenerator<PieceBesideParent, void, undefined> {
  const iterator = parent[Symbol.asyncIterator]();
  const take = runTaker(iterator);
  try {
    let next = 0;
    for await (const piece of pieces) {
      const first = piece.offset / BLOCK_SIZE;
      const end = Math.ceil((piece.offset + piece.length) / BLOCK_SIZE);
      await take(next, first, unchanged);
      const runs: DigestRun[] = [];
      await take(first, end, (run) => runs.push(run));
      next = end;
      if (piece.zero) yield* zerosToWrite(runs, virtualSizeBytes);
      else yield { ...piece, parent: runs };
    }
    await take(next, blockCount(virtualSizeBytes), unchanged);
    while (!(await iterator.next()).done);
  } finally {
    await iterator.return?.();
  }
}

function* zerosToWrite(
  runs: readonly DigestRun[],
  virtualSizeBytes: number,
): Generator<PieceBesideParent, void, undefined> {
  for (const run of runs) {
    if (run.kind === 'zero') continue;
    const offset = run.first * BLOCK_SIZE;
    const length = Math.min(run.count * BLOCK_SIZE, virtualSizeBytes - offset);
    yield { offset, length, zero: true, parent: [run] };
  }
}

/** Gives the parts of runs that lie between two blocks; asked for in order. */
function runTaker(runs: AsyncIterator<DigestRun>) {
  let run: DigestRun | undefined;
  return async (first: number, end: number, give: (part: DigestRun) => void): Promise<void> => {
    let at = first;
    while (at < end) {
      while (!run || run.first + run.count <= at) {
        const { value, done } = await runs.next();
        if (done) throw new RangeError(`The parent has no digest of block ${at}.`);
        run = value;
      }
      const stop = Math.min(end, run.first + run.count);
      give(sliceRun(run, at, stop));
      at = stop;
    }
  };
}
