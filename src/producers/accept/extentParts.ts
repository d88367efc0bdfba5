import type { Extent } from '../../shared/extents.js';

/** 65,536 pairs are 1 MiB: well below MySQL's default max_allowed_packet. */
const PAIRS_PER_PART = 65_536;
const BYTES_PER_PAIR = 16;

/** A change list as it is stored: parts of pairs of unsigned 64-bit little-endian numbers, offset and length. */
export function packExtents(extents: readonly Extent[]): Buffer[] {
  const parts: Buffer[] = [];
  for (let first = 0; first < extents.length; first += PAIRS_PER_PART) {
    const slice = extents.slice(first, first + PAIRS_PER_PART);
    const part = Buffer.allocUnsafe(slice.length * BYTES_PER_PAIR);
    slice.forEach(({ offset, length }, index) => {
      part.writeBigUInt64LE(BigInt(offset), index * BYTES_PER_PAIR);
      part.writeBigUInt64LE(BigInt(length), index * BYTES_PER_PAIR + 8);
    });
    parts.push(part);
  }
  return parts;
}
