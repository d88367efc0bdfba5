import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { StrataError } from '../shared/errors.js';
import { sourceReadError } from '../shared/sourceReadError.js';
import type { ImageExtentFile, ImageInfo } from './imageInfo.js';
import type { ForeignImage } from './foreignImage.js';
import type { ImageFormat } from './imageRef.js';
import type { InspectOptions } from './inspectUntrusted.js';
import { qcow2End } from './qcow2End.js';
import { lengthOf, readAt } from './readAt.js';
import { vmdkEnd } from './vmdkEnd.js';
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
async function vdiEnd(file: FileHandle, lengthBytes: number, signal?: AbortSignal): Promise<number> {
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

/**
 * Opens a file of the image, by its descriptor where it is held; a block device past its page cache, which may be older.
 * O_NONBLOCK: a FIFO put there meanwhile must not hang the worker.
 */
async function openFile(path: string, foreign: ForeignImage | undefined): Promise<FileHandle> {
  const fd = foreign?.files.find((file) => file.path === path)?.fd;
  const link = fd === undefined ? path : `/proc/self/fd/${fd}`;
  const direct = (await stat(link)).isBlockDevice() ? constants.O_DIRECT : 0;
  return open(link, constants.O_RDONLY | constants.O_NONBLOCK | direct);
}

/** How far into a file the disk's data reach, in bytes. */
type EndOf = (file: FileHandle, lengthBytes: number, signal?: AbortSignal) => Promise<number>;

/**
 * Refuses an image whose file ends before the data that it says it holds: QEMU reads what is missing of a QCOW2, VDI or VMDK as
 * zeros, without a word. Reads the image's own tables (0.01 % of a QCOW2 of 64 KiB clusters) and no data. Of VHD and VHDX, QEMU tells
 * it itself as it opens them; a raw file has no data but those that it has.
 * @param info of inspectUntrusted; the places of a VMDK's extents are checked
 * @throws source_truncated, source_io_error
 */
export async function refuseTruncated(
  { path, format }: { path: string; format: ImageFormat },
  info: Pick<ImageInfo, 'extents'>,
  { foreign, signal }: InspectOptions = {},
): Promise<void> {
  const check = async (file: string, endOf: EndOf) => {
    const handle = await openFile(file, foreign).catch((error: unknown) => {
      throw sourceReadError(error);
    });
    try {
      await checkFile(handle, file, endOf, signal);
    } finally {
      await handle.close();
    }
  };
  if (format === 'qcow2') await check(path, qcow2End);
  if (format === 'vdi') await check(path, vdiEnd);
  if (format !== 'vmdk') return;
  for (const extent of info.extents ?? []) await check(extent.filename, endOfExtent(extent));
}

function endOfExtent({ fileOffsetBytes, virtualSizeBytes = 0 }: ImageExtentFile): EndOf {
  if (fileOffsetBytes === undefined) return vmdkEnd;
  return () => Promise.resolve(fileOffsetBytes + virtualSizeBytes);
}

async function checkFile(file: FileHandle, path: string, endOf: EndOf, signal?: AbortSignal): Promise<void> {
  const length = await lengthOf(file);
  if (length === undefined) return;
  const end = await endOf(file, length, signal);
  if (end <= length) return;
  throw new StrataError(
    'source_truncated',
    `The file ${path} has ${length} bytes; the disk has data in it as far as byte ${end}. The rest is missing.`,
    { details: { path, length, end } },
  );
}
