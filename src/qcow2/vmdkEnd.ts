import type { FileHandle } from 'node:fs/promises';
import { readAt } from './readAt.js';
import { tablePieces } from './tableReader.js';

const SECTOR = 512;
const ENTRY_BYTES = 4;
const HEADER_BYTES = 512;
/** Entries of a grain table below this hold no grain: never written, or zeros. */
const FIRST_GRAIN = 2;
/** A compressed grain begins with its place on the disk (64 bits) and its size (32 bits). */
const GRAIN_MARKER_BYTES = 12;
const COMPRESSED = 1 << 16;
/**
 * `gdOffset` in SparseExtentHeader, in sectors (VMware, Virtual Disk Format 5.0). All ones: a copy of the header says it, which
 * lies before the last sector, the end-of-stream marker.
 */
const DIRECTORY_AT = 56;
const DIRECTORY_AT_END = 0xffff_ffff_ffff_ffffn;
const FOOTER_FROM_END = 2 * SECTOR;

/** How a sparse extent is laid out; all in bytes. */
interface Layout {
  directoryAt: number;
  tableEntries: number;
  grainBytes: number;
  capacityBytes: number;
  compressed: boolean;
}

/**
 * Where the last byte of the disk lies in a sparse extent of a VMDK: the end of its grain directory, of the grain tables, and
 * of the grains in these. See qcow2End.
 */
export async function vmdkEnd(file: FileHandle, lengthBytes: number, signal?: AbortSignal): Promise<number> {
  const layout = await layoutOf(file, lengthBytes);
  if (layout === undefined) return lengthBytes + 1;
  const { directoryAt, tableEntries, grainBytes, capacityBytes } = layout;
  const mappedByTable = tableEntries * grainBytes;
  const directoryBytes = Math.ceil(capacityBytes / mappedByTable) * ENTRY_BYTES;
  let end = directoryAt + directoryBytes;
  if (end > lengthBytes) return end;
  let lastGrain = 0;
  let guest = 0;
  const seen = new Set<number>();
  for await (const directory of tablePieces(file, directoryAt, directoryBytes, signal)) {
    for (let at = 0; at < directory.length; at += ENTRY_BYTES, guest += mappedByTable) {
      const tableAt = directory.readUInt32LE(at) * SECTOR;
      // A table that is named twice would be read once for each name.
      if (tableAt === 0 || seen.has(tableAt)) continue;
      seen.add(tableAt);
      end = Math.max(end, tableAt + tableEntries * ENTRY_BYTES);
      if (end > lengthBytes) return end;
      signal?.throwIfAborted();
      const table = await readAt(file, tableAt, tableEntries * ENTRY_BYTES);
      if (layout.compressed) lastGrain = Math.max(lastGrain, lastGrainOf(table));
      else end = Math.max(end, endOfGrains(table, guest, layout));
    }
  }
  return lastGrain === 0 ? end : Math.max(end, await endOfCompressed(file, lastGrain));
}

/** Undefined where the copy of the header at the end is missing: the file was cut. */
async function layoutOf(file: FileHandle, lengthBytes: number): Promise<Layout | undefined> {
  const first = await readAt(file, 0, HEADER_BYTES);
  // ESX: sectors of the disk, of a grain, and where the directory is; tables of 4096 entries (block/vmdk.c, VMDK3Header).
  if (first.toString('latin1', 0, 4) === 'COWD') {
    return {
      directoryAt: first.readUInt32LE(20) * SECTOR,
      tableEntries: 4096,
      grainBytes: first.readUInt32LE(16) * SECTOR,
      capacityBytes: first.readUInt32LE(12) * SECTOR,
      compressed: false,
    };
  }
  const header = isAtEnd(first) ? await footerOf(file, lengthBytes) : first;
  if (!isHosted(header) || isAtEnd(header)) return undefined;
  return {
    directoryAt: Number(header.readBigUInt64LE(DIRECTORY_AT)) * SECTOR,
    tableEntries: header.readUInt32LE(44),
    grainBytes: Number(header.readBigUInt64LE(20)) * SECTOR,
    capacityBytes: Number(header.readBigUInt64LE(12)) * SECTOR,
    compressed: (header.readUInt32LE(8) & COMPRESSED) !== 0,
  };
}

/** Whether a header leaves the place of its directory to a copy of itself at the end of the file, and there is none. */
export async function footerIsMissing(file: FileHandle, head: Buffer, lengthBytes: number): Promise<boolean> {
  return isAtEnd(head) && !isHosted(await footerOf(file, lengthBytes));
}

function footerOf(file: FileHandle, lengthBytes: number): Promise<Buffer> {
  return readAt(file, Math.max(0, lengthBytes - FOOTER_FROM_END), HEADER_BYTES);
}

function isHosted(header: Buffer): boolean {
  return header.length === HEADER_BYTES && header.toString('latin1', 0, 4) === 'KDMV';
}

function isAtEnd(header: Buffer): boolean {
  return isHosted(header) && header.readBigUInt64LE(DIRECTORY_AT) === DIRECTORY_AT_END;
}

function endOfGrains(table: Buffer, guest: number, { grainBytes, capacityBytes }: Layout): number {
  let end = 0;
  for (let at = 0; at < table.length && guest < capacityBytes; at += ENTRY_BYTES, guest += grainBytes) {
    const grain = table.readUInt32LE(at);
    if (grain < FIRST_GRAIN) continue;
    end = Math.max(end, grain * SECTOR + Math.min(grainBytes, capacityBytes - guest));
  }
  return end;
}

/** The sector of the grain that lies last in the file; 0 for none. */
function lastGrainOf(table: Buffer): number {
  let last = 0;
  for (let at = 0; at < table.length; at += ENTRY_BYTES) last = Math.max(last, table.readUInt32LE(at));
  return last < FIRST_GRAIN ? 0 : last;
}

async function endOfCompressed(file: FileHandle, grain: number): Promise<number> {
  const marker = await readAt(file, grain * SECTOR, GRAIN_MARKER_BYTES);
  const size = marker.length === GRAIN_MARKER_BYTES ? marker.readUInt32LE(8) : 0;
  return grain * SECTOR + GRAIN_MARKER_BYTES + size;
}
