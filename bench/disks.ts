import { randomFillSync } from 'node:crypto';
import { open } from 'node:fs/promises';
import { BLOCK_SIZE, type Extent } from '../src/shared/extents.js';
import { createRandom } from '../test/helpers/random.js';

/** Disks and change sets are the same in every run; what the blocks hold is not. */
const SEED = 20_240_229;
const SECTOR = 512;

export interface DiskShape {
  virtualBytes: number;
  dataBytes: number;
  pieceBytes: number;
}

/** Makes a sparse raw disk: random data in pieces, one at a random block of each equal stretch of the disk. */
export async function makeReferenceDisk(path: string, shape: DiskShape): Promise<void> {
  const { virtualBytes, dataBytes, pieceBytes } = shape;
  const pieces = Math.floor(dataBytes / pieceBytes);
  const stretch = Math.floor(virtualBytes / pieces);
  const random = createRandom(SEED);
  const spare = Math.floor((stretch - pieceBytes) / BLOCK_SIZE);
  const extents = Array.from({ length: pieces }, (_, piece) => ({
    offset: Math.floor((piece * stretch) / BLOCK_SIZE) * BLOCK_SIZE + random.integer(0, spare) * BLOCK_SIZE,
    length: pieceBytes,
  }));
  const disk = await open(path, 'w');
  try {
    await disk.truncate(virtualBytes);
  } finally {
    await disk.close();
  }
  await overwrite(path, extents);
}

/** Writes new random data into the extents, and waits until it is on the disk: it must not be flushed on somebody's time. */
export async function overwrite(path: string, extents: readonly Extent[]): Promise<void> {
  const disk = await open(path, 'r+');
  try {
    for (const { offset, length } of extents) {
      await disk.write(randomFillSync(Buffer.allocUnsafe(length)), 0, length, offset);
    }
    await disk.sync();
  } finally {
    await disk.close();
  }
}

/** Random blocks of 64 KiB in increasing order; neighbours stay extents of their own, as upstreams give them. */
export function changeSet(virtualBytes: number, count: number, seed = SEED): Extent[] {
  const offsets = randomBlocks(virtualBytes, count, seed);
  return offsets.map((offset) => ({ offset, length: BLOCK_SIZE }));
}

/** As `changeSet`, with extents of a part of a block, rounded up to sectors, each somewhere in a block of its own. */
export function fineChangeSet(virtualBytes: number, count: number, parts: number): Extent[] {
  const length = Math.ceil(BLOCK_SIZE / parts / SECTOR) * SECTOR;
  const random = createRandom(SEED + 1);
  const sectors = (BLOCK_SIZE - length) / SECTOR;
  return randomBlocks(virtualBytes, count, SEED + 2).map((offset) => ({
    offset: offset + random.integer(0, sectors) * SECTOR,
    length,
  }));
}

/** Cuts every extent into parts with a sector between them, so that they do not join: the same blocks, in more words. */
export function cutFine(extents: readonly Extent[], parts: number): Extent[] {
  const stride = Math.floor(BLOCK_SIZE / parts / SECTOR) * SECTOR;
  return extents.flatMap(({ offset }) =>
    Array.from({ length: parts }, (_, part) => ({ offset: offset + part * stride, length: stride - SECTOR })),
  );
}

function randomBlocks(virtualBytes: number, count: number, seed: number): number[] {
  const blocks = Math.floor(virtualBytes / BLOCK_SIZE);
  if (count > blocks / 2) throw new RangeError(`${count} of ${blocks} blocks are not a few changes`);
  const random = createRandom(seed);
  const chosen = new Set<number>();
  while (chosen.size < count) chosen.add(random.integer(0, blocks - 1));
  return [...chosen].sort((a, b) => a - b).map((block) => block * BLOCK_SIZE);
}
