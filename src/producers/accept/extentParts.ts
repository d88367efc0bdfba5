import type { Extent } from '../../shared/extents.js';

/** 16,384 pairs are 256 KiB: what is made of a part on its way into the database is garbage of a few times its size. */
const PAIRS_PER_PART = 16_384;
const BYTES_PER_PAIR = 16;
const TWO_TO_32 = 2 ** 32;

/**
 * A change list as it is stored: parts of pairs of unsigned 64-bit little-endian numbers, offset and length. Nothing is
 * gathered but the part itself: objects that live as long as a part would be old, and are collected late.
 */
export function* packExtents(extents: Iterable<Extent>): Generator<Buffer, void, undefined> {
  let part = Buffer.allocUnsafe(PAIRS_PER_PART * BYTES_PER_PAIR);
  let at = 0;
  for (const { offset, length } of extents) {
    at = writeUInt64(part, writeUInt64(part, at, offset), length);
    if (at < part.length) continue;
    yield part;
    part = Buffer.allocUnsafe(part.length);
    at = 0;
  }
  if (at > 0) yield part.subarray(0, at);
}

/** A safe integer, without a BigInt. */
function writeUInt64(target: Buffer, at: number, value: number): number {
  target.writeUInt32LE(value % TWO_TO_32, at);
  return target.writeUInt32LE(Math.floor(value / TWO_TO_32), at + 4);
}
