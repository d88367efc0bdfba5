import type { FileHandle } from 'node:fs/promises';
import { readAt } from './readAt.js';
import { tablePieces } from './tableReader.js';

/** Header fields, little-endian (VirtualBox, VDICore.h: VDIHEADER1). */
const HEADER_BYTES = 512;
const MAP_OFFSET_AT = 0x154;
const DATA_OFFSET_AT = 0x158;
const DISK_SIZE_AT = 0x170;
const BLOCK_SIZE_AT = 0x178;
const BLOCKS_AT = 0x180;
const ENTRY_BYTES = 4;
/** Entries from here on hold no block: never written, or discarded. */
const NO_BLOCK = 0xffff_fffe;

/** Where the last byte of the disk lies in a VDI file: the end of its block map, and of the blocks in it. See qcow2End. */
export async function vdiEnd(file: FileHandle, lengthBytes: number, signal?: AbortSignal): Promise<number> {
  const header = await readAt(file, 0, HEADER_BYTES);
  const mapAt = header.readUInt32LE(MAP_OFFSET_AT);
  const dataAt = header.readUInt32LE(DATA_OFFSET_AT);
  const sizeBytes = Number(header.readBigUInt64LE(DISK_SIZE_AT));
  const blockBytes = header.readUInt32LE(BLOCK_SIZE_AT);
  const mapBytes = header.readUInt32LE(BLOCKS_AT) * ENTRY_BYTES;
  let end = mapAt + mapBytes;
  if (end > lengthBytes) return end;
  let guest = 0;
  for await (const map of tablePieces(file, mapAt, mapBytes, signal)) {
    for (let at = 0; at < map.length; at += ENTRY_BYTES, guest += blockBytes) {
      const block = map.readUInt32LE(at);
      if (block >= NO_BLOCK || guest >= sizeBytes) continue;
      end = Math.max(end, dataAt + block * blockBytes + Math.min(blockBytes, sizeBytes - guest));
    }
  }
  return end;
}
