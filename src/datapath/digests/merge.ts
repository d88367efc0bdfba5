import { BLOCK_SIZE } from '../../shared/extents.js';
import { invalid } from './format.js';
import { openDigestIndex } from './reader.js';
import { blockCount, type DigestRun, sliceRun } from './runs.js';

/** One layer's runs, with the run that covers or follows the current block. */
interface Cursor {
  runs: AsyncIterator<DigestRun>;
  /** The block of which only the first part is seen through a shorter layer above: what it then reads as is not known. */
  cutBlock: number | undefined;
  run: DigestRun | undefined;
}

/**
 * What a reader of the chain sees: for every block of the disk, in order, the run of the topmost layer that provides
 * it, or zero where none does. All indexes are read to their ends, so that their checksums have been verified when the
 * iteration ends without an error; a consumer that stops early has proved nothing.
 * @param layers paths of digest indexes, topmost first; a layer provides nothing beyond its own size, and hides what
 *   lies beyond it in the layers below (as a QCOW2 overlay reads zeros beyond the end of a shorter backing file)
 * @param virtualSizeBytes size of the disk that is read, in bytes; beyond the topmost layer's size it reads as zero
 * @throws digest_index_invalid for an index that is malformed, or when a size cuts a data block of a lower layer, so
 *   that no index knows the digest of what is left of it
 */
export function effectiveDigests(
  layers: readonly string[],
  virtualSizeBytes: number,
): AsyncGenerator<DigestRun, void, undefined> {
  return mergeLayers(layers, virtualSizeBytes, true);
}

/**
 * What layers provide together, as one layer does: the effective digests without the blocks that none of them provides.
 * @param layers as of `effectiveDigests`
 * @throws digest_index_invalid as `effectiveDigests`
 */
export function providedDigests(
  layers: readonly string[],
  virtualSizeBytes: number,
): AsyncGenerator<DigestRun, void, undefined> {
  return mergeLayers(layers, virtualSizeBytes, false);
}

/** @param fill yields zeros where no layer provides a block */
async function* mergeLayers(
  layers: readonly string[],
  virtualSizeBytes: number,
  fill: boolean,
): AsyncGenerator<DigestRun, void, undefined> {
  const indexes: Awaited<ReturnType<typeof openDigestIndex>>[] = [];
  try {
    const cursors: Cursor[] = [];
    let visibleBytes = virtualSizeBytes;
    for (const path of layers) {
      const index = await openDigestIndex(path);
      indexes.push(index);
      const layerBytes = index.header.virtualSizeBytes;
      visibleBytes = Math.min(visibleBytes, layerBytes);
      const end = blockCount(visibleBytes);
      const cutBlock = visibleBytes < layerBytes && visibleBytes % BLOCK_SIZE !== 0 ? end - 1 : undefined;
      cursors.push({ runs: clip(index.runs, end), cutBlock, run: undefined });
    }
    yield* mergeCursors(cursors, blockCount(virtualSizeBytes), fill);
    for (const cursor of cursors) await drain(cursor.runs);
  } finally {
    for (const index of indexes) await index.close();
  }
}

async function* mergeCursors(
  cursors: readonly Cursor[],
  end: number,
  fill: boolean,
): AsyncGenerator<DigestRun, void, undefined> {
  for (const cursor of cursors) cursor.run = await nextRun(cursor.runs);
  let block = 0;
  while (block < end) {
    let stop = end;
    let provider: DigestRun | undefined;
    for (const cursor of cursors) {
      while (cursor.run && cursor.run.first + cursor.run.count <= block)
        cursor.run = await nextRun(cursor.runs);
      if (!cursor.run) continue;
      if (cursor.run.first <= block) {
        provider = cursor.run;
        stop = Math.min(stop, provider.first + provider.count);
        checkCut(cursor, block, stop);
        break;
      }
      stop = Math.min(stop, cursor.run.first);
    }
    if (provider) yield sliceRun(provider, block, stop);
    else if (fill) yield { kind: 'zero', first: block, count: stop - block };
    block = stop;
  }
}

function checkCut({ run, cutBlock }: Cursor, first: number, end: number): void {
  if (run?.kind !== 'data' || cutBlock === undefined || cutBlock < first || cutBlock >= end) return;
  throw invalid(
    `A shorter layer cuts block ${cutBlock} of a layer below: the digest of what is left is not known.`,
  );
}

/** The runs before block `end`: what lies beyond is hidden by a shorter layer above. */
async function* clip(
  runs: AsyncIterable<DigestRun>,
  end: number,
): AsyncGenerator<DigestRun, void, undefined> {
  for await (const run of runs) {
    if (run.first >= end) continue;
    yield run.first + run.count <= end ? run : sliceRun(run, run.first, end);
  }
}

async function nextRun(runs: AsyncIterator<DigestRun>): Promise<DigestRun | undefined> {
  const { value, done } = await runs.next();
  return done ? undefined : value;
}

async function drain(runs: AsyncIterator<DigestRun>): Promise<void> {
  while ((await nextRun(runs)) !== undefined);
}
