import { inflateRawSync } from 'node:zlib';

/** The size of a zstd frame's parts (RFC 8878, 3.1.1). */
const MAGIC = 0xfd2fb528;
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;
const RLE = 1;

/**
 * Whether a compressed cluster is all there: what is cut from its end would be read as zeros, which may well decompress to
 * something else, for neither a raw deflate stream nor a zstd frame of QEMU's has a checksum.
 * @param bytes of the cluster, as far as the file has them
 */
export function isWholeDeflate(bytes: Buffer): boolean {
  try {
    inflateRawSync(bytes);
    return true;
  } catch {
    return false;
  }
}

/** The same of a zstd frame, by the sizes of its blocks. */
export function isWholeZstd(bytes: Buffer): boolean {
  if (bytes.length < 5 || bytes.readUInt32LE(0) !== MAGIC) return false;
  const descriptor = bytes.readUInt8(4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const contentSize = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  const dictionaryId = [0, 1, 2, 4][descriptor & 3] ?? 0;
  let at = 5 + (singleSegment ? 0 : 1) + dictionaryId + contentSize;
  for (let last = false; !last; ) {
    if (at + BLOCK_HEADER_BYTES > bytes.length) return false;
    const header = bytes.readUIntLE(at, BLOCK_HEADER_BYTES);
    last = (header & 1) !== 0;
    at += BLOCK_HEADER_BYTES + (((header >> 1) & 3) === RLE ? 1 : header >> 3);
  }
  return at + ((descriptor & 4) !== 0 ? CHECKSUM_BYTES : 0) <= bytes.length;
}
