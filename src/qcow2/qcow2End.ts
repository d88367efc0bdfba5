import type { FileHandle } from 'node:fs/promises';
import { readAt } from './readAt.js';
import { tablePieces } from './tableReader.js';
import { inflateRawSync } from 'node:zlib';

/** Header fields, big-endian, and the bits of table entries (QEMU docs/interop/qcow2.txt). */
const HEADER_BYTES = 112;
const VERSION_AT = 4;
const CLUSTER_BITS_AT = 20;
const SIZE_AT = 24;
const L1_OFFSET_AT = 40;
const INCOMPATIBLE_FEATURES_AT = 72;
const COMPRESSION_TYPE = 1n << 3n;
const EXTENDED_L2 = 1n << 4n;
const ENTRY_BYTES = 8;
const SUBCLUSTERS = 32;
const SECTOR = 512;
/** Of the upper 32 bits of an entry: the upper bits of an offset, and "compressed". */
const OFFSET_HIGH = 0x00ff_ffff;
const COMPRESSED_HIGH = 0x4000_0000;
const OFFSET_LOW = 0xffff_fe00;
const READS_AS_ZERO_LOW = 1;
/** Byte 104 of the header says how clusters are compressed: 0 is deflate, 1 is zstd. */
const COMPRESSION_TYPE_AT = 104;
const ZSTD = 1;

interface Layout {
  clusterBits: number;
  clusterBytes: number;
  sizeBytes: number;
  extended: boolean;
  zstd: boolean;
}

/** How far a table's clusters reach. */
interface Reach {
  end: number;
  /** The compressed cluster that reaches furthest: from its first byte to the end of its last sector. */
  compressed: { at: number; end: number };
}

/**
 * Where the last byte that the active disk of a QCOW2 file needs lies in the file: the end of its tables and of the clusters
 * that they map. `qemu-img map` would not do: a second-level table beyond the end of the file reads as zeros, and all that it
 * maps with it, and compressed clusters have no offset there.
 * @param lengthBytes of the file; tables beyond it are not read
 * @returns bytes from the file's beginning; above `lengthBytes` where the file has been cut
 */
export async function qcow2End(file: FileHandle, lengthBytes: number, signal?: AbortSignal): Promise<number> {
  const header = await readAt(file, 0, HEADER_BYTES);
  const layout = layoutOf(header);
  const { clusterBytes, sizeBytes, extended } = layout;
  const entryBytes = extended ? 2 * ENTRY_BYTES : ENTRY_BYTES;
  const mappedByL2 = (clusterBytes / entryBytes) * clusterBytes;
  const l1At = Number(header.readBigUInt64BE(L1_OFFSET_AT));
  const l1Bytes = Math.ceil(sizeBytes / mappedByL2) * ENTRY_BYTES;
  const l1End = l1At + l1Bytes;
  if (l1End > lengthBytes) return l1End;
  let guest = 0;
  const reach: Reach = { end: l1End, compressed: { at: 0, end: 0 } };
  const seen = new Set<number>();
  for await (const l1 of tablePieces(file, l1At, l1Bytes, signal)) {
    for (let at = 0; at < l1.length; at += ENTRY_BYTES, guest += mappedByL2) {
      const l2At = offsetOf(l1.readUInt32BE(at), l1.readUInt32BE(at + 4));
      // A table that is named twice would be read once for each name.
      if (l2At === 0 || seen.has(l2At)) continue;
      seen.add(l2At);
      if (l2At + clusterBytes > lengthBytes) return l2At + clusterBytes;
      signal?.throwIfAborted();
      const l2 = await readAt(file, l2At, clusterBytes);
      if (extended) reachOfSubclusters(l2, guest, layout, reach);
      else reachOfClusters(l2, guest, layout, reach);
    }
  }
  const { end, compressed } = reach;
  return (await isWhole(file, compressed, lengthBytes, layout)) ? end : Math.max(end, compressed.end);
}

/**
 * A compressed cluster's size is in whole sectors, and whoever wrote it as the file's last thing may have left its last
 * sector short.
 */
async function isWhole(
  file: FileHandle,
  { at, end }: Reach['compressed'],
  lengthBytes: number,
  { zstd }: Layout,
): Promise<boolean> {
  if (end <= lengthBytes) return true;
  if (end - SECTOR >= lengthBytes) return false;
  const bytes = await readAt(file, at, lengthBytes - at);
  return zstd ? isWholeZstd(bytes) : isWholeDeflate(bytes);
}

function layoutOf(header: Buffer): Layout {
  const clusterBits = header.readUInt32BE(CLUSTER_BITS_AT);
  const features =
    header.readUInt32BE(VERSION_AT) >= 3 ? header.readBigUInt64BE(INCOMPATIBLE_FEATURES_AT) : 0n;
  return {
    clusterBits,
    clusterBytes: 2 ** clusterBits,
    sizeBytes: Number(header.readBigUInt64BE(SIZE_AT)),
    extended: (features & EXTENDED_L2) !== 0n,
    zstd: (features & COMPRESSION_TYPE) !== 0n && header.readUInt8(COMPRESSION_TYPE_AT) === ZSTD,
  };
}

function offsetOf(high: number, low: number): number {
  return (high & OFFSET_HIGH) * 2 ** 32 + ((low & OFFSET_LOW) >>> 0);
}

/** @param guest where the table's range begins on the disk, in bytes: the last cluster is used as far as the disk goes */
function reachOfClusters(l2: Buffer, guest: number, layout: Layout, reach: Reach): void {
  const { clusterBytes, sizeBytes } = layout;
  for (let at = 0; at < l2.length && guest < sizeBytes; at += ENTRY_BYTES, guest += clusterBytes) {
    const high = l2.readUInt32BE(at);
    const low = l2.readUInt32BE(at + 4);
    if ((high & COMPRESSED_HIGH) !== 0) {
      reachOfCompressed(high, low, layout, reach);
      continue;
    }
    const offset = offsetOf(high, low);
    if (offset === 0 || (low & READS_AS_ZERO_LOW) !== 0) continue;
    reach.end = Math.max(reach.end, offset + Math.min(clusterBytes, sizeBytes - guest));
  }
}

function reachOfCompressed(high: number, low: number, { clusterBits }: Layout, { compressed }: Reach): void {
  // Bit x = 62 - (clusterBits - 8) of the entry is the first of the size, always in the upper half.
  const sizeBit = 62 - (clusterBits - 8) - 32;
  const offset = (high & (2 ** sizeBit - 1)) * 2 ** 32 + low;
  const moreSectors = (high & (COMPRESSED_HIGH - 1)) >>> sizeBit;
  const end = (Math.floor(offset / SECTOR) + moreSectors + 1) * SECTOR;
  // Two clusters may share the last sector: the later one is what may be cut.
  if (end < compressed.end || (end === compressed.end && offset < compressed.at)) return;
  compressed.at = offset;
  compressed.end = end;
}

/** Extended entries: a second word says which of 32 subclusters are allocated (lower half) or read as zero (upper half). */
function reachOfSubclusters(l2: Buffer, guest: number, layout: Layout, reach: Reach): void {
  const { clusterBytes, sizeBytes } = layout;
  const subclusterBytes = clusterBytes / SUBCLUSTERS;
  for (let at = 0; at < l2.length && guest < sizeBytes; at += 2 * ENTRY_BYTES, guest += clusterBytes) {
    const high = l2.readUInt32BE(at);
    const low = l2.readUInt32BE(at + 4);
    if ((high & COMPRESSED_HIGH) !== 0) {
      reachOfCompressed(high, low, layout, reach);
      continue;
    }
    const offset = offsetOf(high, low);
    const allocated = l2.readUInt32BE(at + 12);
    if (offset === 0 || allocated === 0) continue;
    const used = (SUBCLUSTERS - Math.clz32(allocated)) * subclusterBytes;
    reach.end = Math.max(reach.end, offset + Math.min(used, sizeBytes - guest));
  }
}

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
