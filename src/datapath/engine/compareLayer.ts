import { type DigestRun, sliceRun } from '../digests/runs.js';
import type { BlockRange } from './blockRange.js';
import { differingRanges } from './differences.js';

/** How what an image holds differs from what its digest index says. */
export type LayerDifference =
  /** The image holds other content than the index says. */
  | { kind: 'wrong'; range: BlockRange }
  /** Only one of the two has these blocks: nothing is lost if what lies below reads the same. */
  | { kind: 'alone'; run: DigestRun };

export interface CompareStep {
  /** All blocks before this one have been compared. */
  upTo: number;
  differences: LayerDifference[];
}

/**
 * Compares what an image holds with what its digest index says, from a block on. Both sides are in order and may have
 * gaps; both are read to their ends, so that the index's checksum has been verified when it ends without an error.
 */
export async function* compareLayer(
  indexed: AsyncIterable<DigestRun>,
  held: AsyncIterable<DigestRun>,
  fromBlock: number,
): AsyncGenerator<CompareStep, void, undefined> {
  const sides = [cursorOf(indexed), cursorOf(held)] as const;
  const [ours, theirs] = sides;
  try {
    let block = fromBlock;
    for (;;) {
      for (const side of sides) await side.advance(block);
      const [a, b] = [ours.run, theirs.run];
      const first = Math.max(block, Math.min(firstOf(a), firstOf(b)));
      if (first === Number.POSITIVE_INFINITY) return;
      const differences = [...differencesAt(a, b, first)];
      block = endAt(a, b, first);
      yield { upTo: block, differences };
    }
  } finally {
    for (const side of sides) await side.close();
  }
}

function* differencesAt(
  a: DigestRun | undefined,
  b: DigestRun | undefined,
  first: number,
): Generator<LayerDifference, void, undefined> {
  const end = endAt(a, b, first);
  const [inA, inB] = [firstOf(a) <= first, firstOf(b) <= first];
  if (a && b && inA && inB) {
    for (const range of differingRanges(a, b, first, end)) yield { kind: 'wrong', range };
    return;
  }
  const only = inA ? a : b;
  if (only) yield { kind: 'alone', run: sliceRun(only, first, end) };
}

/** Where the piece that begins at `first` ends: on both sides it is covered whole or not at all. */
function endAt(a: DigestRun | undefined, b: DigestRun | undefined, first: number): number {
  const bounds = [a, b].flatMap((run) =>
    run === undefined ? [] : [run.first > first ? run.first : run.first + run.count],
  );
  return Math.min(...bounds);
}

function firstOf(run: DigestRun | undefined): number {
  return run?.first ?? Number.POSITIVE_INFINITY;
}

/** Walks through runs by block. */
export function cursorOf(runs: AsyncIterable<DigestRun>) {
  const iterator = runs[Symbol.asyncIterator]();
  let run: DigestRun | undefined;
  let ended = false;
  return {
    /** The run that covers or follows the current block; undefined at the end. */
    get run() {
      return run;
    },
    async advance(block: number): Promise<void> {
      while (!ended && (!run || run.first + run.count <= block)) {
        const next = await iterator.next();
        ended = next.done === true;
        run = next.done ? undefined : next.value;
      }
    },
    async close(): Promise<void> {
      if (!ended) await iterator.return?.();
    },
  };
}
