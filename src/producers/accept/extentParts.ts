import type { Extent } from '../../shared/extents.js';

/** 65,536 pairs are 1 MiB: well below MySQL's default max_allowed_packet. */
const PAIRS_PER_PART = 65_536;
const BYTES_PER_PAIR = 16;

/** A change list as it is stored: parts of pairs of unsigned 64-bit little-endian numbers, offset and length. */
export function* packExtents(extents: Iterable<Extent>): Generator<Buffer, void, undefined> {
  let pairs: Extent[] = [];
  for (const extent of extents) {
    pairs.push(extent);
    if (pairs.length < PAIRS_PER_PART) continue;
    yield packPairs(pairs);
    pairs = [];
  }
  if (pairs.length > 0) yield packPairs(pairs);
}

function packPairs(pairs: readonly Extent[]): Buffer {
  const part = Buffer.allocUnsafe(pairs.length * BYTES_PER_PAIR);
  pairs.forEach(({ offset, length }, index) => {
    part.writeBigUInt64LE(BigInt(offset), index * BYTES_PER_PAIR);
    part.writeBigUInt64LE(BigInt(length), index * BYTES_PER_PAIR + 8);
  });
  return part;
}
