import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { errnoOf, StrataError } from '../shared/errors.js';
import { sourceReadError } from '../shared/sourceReadError.js';
import type { ImageFormat } from './imageRef.js';
import { MAX_BACKING_NAME_BYTES } from './paths.js';
import {
  descriptorOffset,
  MAX_DESCRIPTOR_BYTES,
  opensNamedExtents,
  refuseForeignReferences,
} from './vmdkDescriptor.js';

/** QCOW2 header fields, big-endian (QEMU docs/interop/qcow2.txt). */
const QCOW2_MAGIC = Buffer.from('QFI\xfb', 'latin1');
const VERSION_AT = 4;
const BACKING_FILE_OFFSET_AT = 8;
const BACKING_FILE_SIZE_AT = 16;
const INCOMPATIBLE_FEATURES_AT = 72;
const EXTERNAL_DATA_FILE = 1n << 2n;
const HEAD_BYTES = 512;

/**
 * Looks at an image's first bytes before any tool opens it, and refuses references to other files: some QEMU versions
 * open a QCOW2 data file (CVE-2024-4467) or a VMDK extent, whatever its path, even to describe the image.
 * @throws source_missing, source_io_error, unknown_format, source_references_other_file
 */
export async function refuseReferences(path: string, format: ImageFormat): Promise<void> {
  const file = await openSource(path);
  try {
    const head = await readAt(file, 0, HEAD_BYTES);
    if (format === 'qcow2') checkQcow2Head(head);
    if (format === 'vmdk') await checkVmdk(file, head);
  } finally {
    await file.close();
  }
}

/**
 * The name of the backing file in a QCOW2 header, undefined where it has none; nothing else is opened.
 * @throws unknown_format for a file that is no QCOW2 image; a system error where it cannot be read
 */
export async function backingNameOf(path: string): Promise<string | undefined> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const head = Buffer.alloc(HEAD_BYTES);
    const { bytesRead } = await file.read(head, 0, HEAD_BYTES, 0);
    if (bytesRead < BACKING_FILE_SIZE_AT + 4 || !head.subarray(0, 4).equals(QCOW2_MAGIC)) {
      throw new StrataError('unknown_format', `${path} is not a QCOW2 image.`);
    }
    const offset = head.readBigUInt64BE(BACKING_FILE_OFFSET_AT);
    const length = head.readUInt32BE(BACKING_FILE_SIZE_AT);
    if (offset === 0n || length === 0) return undefined;
    const name = Buffer.alloc(Math.min(length, MAX_BACKING_NAME_BYTES));
    await file.read(name, 0, name.length, Number(offset));
    return name.toString('utf8');
  } finally {
    await file.close();
  }
}

async function openSource(path: string): Promise<FileHandle> {
  try {
    const found = await stat(path);
    if (!found.isFile() && !found.isBlockDevice()) {
      throw new StrataError('source_missing', 'The source is neither a file nor a block device.', {
        details: { path },
      });
    }
    // O_NONBLOCK: a FIFO put there meanwhile must not hang the worker.
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof StrataError || !isAbsence(error)) throw sourceReadError(error);
    throw new StrataError('source_missing', 'The source does not exist or may not be read.', {
      cause: error,
      details: { path },
    });
  }
}

function isAbsence(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'EPERM'].includes(errnoOf(error) ?? '');
}

function checkQcow2Head(head: Buffer): void {
  const version = head.length >= INCOMPATIBLE_FEATURES_AT ? head.readUInt32BE(VERSION_AT) : 0;
  if (!head.subarray(0, 4).equals(QCOW2_MAGIC) || version < 2) {
    throw new StrataError('unknown_format', 'The source is not a QCOW2 image.');
  }
  if (head.readBigUInt64BE(BACKING_FILE_OFFSET_AT) !== 0n) {
    throw new StrataError('source_references_other_file', 'The QCOW2 image has a backing file.');
  }
  const features = version >= 3 && head.length >= 80 ? head.readBigUInt64BE(INCOMPATIBLE_FEATURES_AT) : 0n;
  if ((features & EXTERNAL_DATA_FILE) !== 0n) {
    throw new StrataError('source_references_other_file', 'The QCOW2 image keeps its data in another file.');
  }
}

async function checkVmdk(file: FileHandle, head: Buffer): Promise<void> {
  const offset = descriptorOffset(head);
  if (offset === undefined) return;
  const descriptor = await readAt(file, offset, MAX_DESCRIPTOR_BYTES);
  refuseForeignReferences(descriptor.toString('latin1'), opensNamedExtents(head));
}

/** Up to `length` bytes; fewer at the end of the file. */
async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file
      .read(buffer, filled, length - filled, position + filled)
      .catch((error: unknown) => {
        throw sourceReadError(error);
      });
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
