import { BLOCK_SIZE, type Extent } from '../../shared/extents.js';
import { digestBlocks } from '../digests/block.js';
import { equalBlocks } from '../digests/equalBlocks.js';
import { type DigestRun, type DigestWriter } from '../digests/index.js';
import { runsOf } from '../digests/splitRuns.js';
import type { NbdClient } from '../nbd/index.js';
import type { BlockReader, KnownRange, OpenSource } from '../sources/index.js';
import { besideParent, type PieceBesideParent } from './besideParent.js';
import { CHUNK_BYTES, planChunks } from './chunks.js';
import { orderedMap } from './orderedMap.js';
import type { Scope } from './scope.js';
import { scopedReaders } from './scopedReaders.js';
import type { Throttle } from './throttle.js';

/** As many as qemu-nbd works on at once. Eight MiB of buffers in all. */
const IN_FLIGHT = 16;

export interface CopyExtents {
  source: OpenSource;
  target: NbdClient;
  /** Aligned to blocks, in order. */
  extents: AsyncIterable<Extent>;
  /** The target is a new image without a backing file: it reads as zero where nothing is written. */
  targetIsEmpty: boolean;
  /**
   * What the target's backing file holds, from its beginning to its end: what is the same there is not written. The runs
   * between the extents are told to `unchanged`.
   */
  parent?: { runs: AsyncIterable<DigestRun>; unchanged: (run: DigestRun) => void };
  /** Where the digests of what was written go, if anybody wants them. */
  digests?: Pick<DigestWriter, 'append'>;
  throttle: Throttle;
  scope: Scope;
  /** Called after each piece, in order. */
  onPiece: (piece: CopiedPiece) => void;
}

export interface CopiedPiece {
  offset: number;
  length: number;
  bytesRead: number;
  bytesWritten: number;
}

/** Copies extents from a source to an image: blocks of data as data, blocks of zeros as zeros, each with its digest. */
export async function copyExtents(copy: CopyExtents): Promise<void> {
  const { source, scope, digests, onPiece } = copy;
  const readers = scopedReaders(source, scope);
  try {
    const slots = Array.from({ length: IN_FLIGHT }, (_, number) => ({
      number,
      buffer: Buffer.allocUnsafeSlow(CHUNK_BYTES),
    }));
    const results = orderedMap({
      items: planPieces(copy),
      slots,
      work: async (range, { number, buffer }) =>
        range.zero ? copyZeros(copy, range) : copyRange(copy, range, buffer, await readers.reader(number)),
      scope,
    });
    for await (const { runs, piece } of results) {
      await digests?.append(runs);
      onPiece(piece);
    }
  } finally {
    readers.detach();
  }
}

function planPieces({ extents, source, parent }: CopyExtents): AsyncIterable<PlannedPiece> {
  const pieces = planChunks(extents, source);
  return parent ? besideParent(pieces, parent.runs, source.sizeBytes, parent.unchanged) : pieces;
}

type PlannedPiece = KnownRange & Partial<PieceBesideParent>;

interface CopiedRange {
  runs: DigestRun[];
  piece: CopiedPiece;
}

/** What is known to be zero is neither read nor transferred. */
async function copyZeros(
  { target, targetIsEmpty }: CopyExtents,
  { offset, length }: Extent,
): Promise<CopiedRange> {
  if (!targetIsEmpty) await target.writeZeroes(offset, length);
  const count = Math.ceil(length / BLOCK_SIZE);
  return {
    runs: [{ kind: 'zero', first: offset / BLOCK_SIZE, count }],
    piece: { offset, length, bytesRead: 0, bytesWritten: 0 },
  };
}

async function copyRange(
  { target, throttle, targetIsEmpty }: CopyExtents,
  { offset, length, parent = [] }: PlannedPiece,
  buffer: Buffer,
  reader: BlockReader,
): Promise<CopiedRange> {
  await throttle(length);
  const bytes = buffer.subarray(0, length);
  await reader.read(offset, bytes);
  const first = offset / BLOCK_SIZE;
  const found = digestBlocks(bytes);
  const runs = runsOf(first, found, equalBlocks(first, found, parent));
  const written = await Promise.all(
    runs.map(async (run) => {
      const at = run.first * BLOCK_SIZE;
      const size = Math.min(run.count * BLOCK_SIZE, offset + length - at);
      if (run.kind === 'zero') {
        if (!targetIsEmpty) await target.writeZeroes(at, size);
        return 0;
      }
      await target.write(at, bytes.subarray(at - offset, at - offset + size));
      return size;
    }),
  );
  const bytesWritten = written.reduce((sum, size) => sum + size, 0);
  return { runs, piece: { offset, length, bytesRead: length, bytesWritten } };
}
