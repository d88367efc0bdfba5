import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { errnoOf, StrataError } from '../shared/errors.js';
import { sourceReadError } from '../shared/sourceReadError.js';
import type { ImageFormat } from './imageRef.js';
import { checkVdiParent, checkVhdxParent } from './parents.js';
import { MAX_BACKING_NAME_BYTES } from './paths.js';
import { lengthOf, readAt } from './readAt.js';
import { checkVhd } from './vhdFooter.js';
import {
  descriptorOffset,
  MAX_DESCRIPTOR_BYTES,
  opensNamedExtents,
  refuseForeignReferences,
} from './vmdkDescriptor.js';
import { footerIsMissing } from './vmdkEnd.js';
import { type DeclaredExtent, declaredExtents, refuseDropped } from './vmdkExtents.js';

/** QCOW2 header fields, big-endian (QEMU docs/interop/qcow2.txt). */
const QCOW2_MAGIC = Buffer.from('QFI\xfb', 'latin1');
const VERSION_AT = 4;
const BACKING_FILE_OFFSET_AT = 8;
const BACKING_FILE_SIZE_AT = 16;
const CRYPT_METHOD_AT = 32;
const INCOMPATIBLE_FEATURES_AT = 72;
const EXTERNAL_DATA_FILE = 1n << 2n;
const HEAD_BYTES = 512;

/**
 * Looks at an image's own metadata before any tool opens it, and refuses what would be read wrongly or not at all:
 * references to other files (some QEMU versions open a QCOW2 data file (CVE-2024-4467) or a VMDK extent, whatever its
 * path, even to describe the image), encryption, and what QEMU reads wrongly without a word.
 * @throws source_missing, source_io_error, unknown_format, source_references_other_file, source_encrypted,
 *   source_truncated, source_unsupported
 * @returns what the header says that has to be compared with what QEMU sees
 */
export async function refuseReferences(path: string, format: ImageFormat): Promise<ImageHead> {
  const file = await openSource(path);
  try {
    const head = await readAt(file, 0, HEAD_BYTES);
    if (format !== 'raw') refuseLuks(head);
    if (format === 'qcow2') checkQcow2Head(head);
    if (format === 'vmdk') return { vmdk: await checkVmdk(file, head) };
    if (format === 'vpc') await checkVhd(file);
    if (format === 'vdi') checkVdiParent(head);
    if (format === 'vhdx') await checkVhdxParent(file);
    return {};
  } finally {
    await file.close();
  }
}

/** How images begin, for a person who may have meant one. The guest of a raw disk can write the same. */
const BEGINNINGS: readonly (readonly [format: ImageFormat, at: number, bytes: Buffer])[] = [
  ['qcow2', 0, QCOW2_MAGIC],
  ['vmdk', 0, Buffer.from('KDMV')],
  ['vmdk', 0, Buffer.from('# Disk DescriptorFile')],
  ['vhdx', 0, Buffer.from('vhdxfile')],
  ['vdi', 0x40, Buffer.from('7f10dabe', 'hex')],
  ['vpc', 0, Buffer.from('conectix')],
];

/** The format of which an image's first bytes could be. @throws source_missing, source_io_error */
export async function imageLooksLike(path: string): Promise<ImageFormat | undefined> {
  const file = await openSource(path);
  try {
    const head = await readAt(file, 0, HEAD_BYTES);
    return BEGINNINGS.find(([, at, bytes]) => head.subarray(at, at + bytes.length).equals(bytes))?.[0];
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

export async function openSource(path: string): Promise<FileHandle> {
  try {
    const found = await stat(path);
    if (!found.isFile() && !found.isBlockDevice()) {
      throw new StrataError('source_missing', 'The source is neither a file nor a block device.', {
        details: { path },
      });
    }
    // What the page cache has of a device may be older than what is on it. O_NONBLOCK: a FIFO put there meanwhile must
    // not hang the worker.
    const direct = found.isBlockDevice() ? constants.O_DIRECT : 0;
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK | direct);
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
  // 1: the AES of old, which QEMU opens no more; 2: LUKS.
  if (head.readUInt32BE(CRYPT_METHOD_AT) !== 0) throw encrypted('QCOW2 image');
  if (head.readBigUInt64BE(BACKING_FILE_OFFSET_AT) !== 0n) {
    throw new StrataError('source_references_other_file', 'The QCOW2 image has a backing file.');
  }
  const features = version >= 3 && head.length >= 80 ? head.readBigUInt64BE(INCOMPATIBLE_FEATURES_AT) : 0n;
  if ((features & EXTERNAL_DATA_FILE) !== 0n) {
    throw new StrataError('source_references_other_file', 'The QCOW2 image keeps its data in another file.');
  }
}

/** LUKS 1 and 2 (cryptsetup, docs/on-disk-format-luks2.pdf). Given as raw, it is bytes like any other. */
const LUKS_MAGIC = Buffer.from('LUKS\xba\xbe', 'latin1');

function refuseLuks(head: Buffer): void {
  if (!head.subarray(0, LUKS_MAGIC.length).equals(LUKS_MAGIC)) return;
  throw new StrataError(
    'unknown_format',
    'The source is a LUKS volume. Register it with the format raw: it is then backed up as it is, encrypted.',
  );
}

function encrypted(what: string): StrataError {
  return new StrataError(
    'source_encrypted',
    `The ${what} is encrypted. Strata holds no keys: back the disk up from a running machine over NBD, or decrypt it first.`,
  );
}

/** What an image's own metadata says. */
export interface ImageHead {
  /** The extents of a VMDK, and whether QEMU opens them by these names. */
  vmdk?: { declared: DeclaredExtent[]; named: boolean };
}

async function checkVmdk(file: FileHandle, head: Buffer): Promise<ImageHead['vmdk'] & object> {
  const offset = descriptorOffset(head);
  if (offset === undefined) throw pieceOfVmdk();
  await refuseCutStream(file, head);
  const descriptor = await readAt(file, offset, MAX_DESCRIPTOR_BYTES);
  // A descriptor that VMware has encrypted is these lines and no others.
  if (/^[ \t]*encryption\.keySafe[ \t]*=/m.test(descriptor.toString('latin1'))) throw encrypted('VMDK');
  const named = opensNamedExtents(head);
  refuseForeignReferences(descriptor.toString('latin1'), named);
  const declared = declaredExtents(descriptor.toString('utf8'));
  if (named) refuseDropped(declared);
  else if (declared.length === 0) throw pieceOfVmdk();
  return { declared, named };
}

function pieceOfVmdk(): StrataError {
  return new StrataError(
    'source_unsupported',
    'The file is one extent of a VMDK, without a descriptor: it is perhaps a part of a disk. Register the descriptor file.',
  );
}

/** A stream-optimised VMDK ends with what its header leaves open; without that, nothing in it can be found. */
async function refuseCutStream(file: FileHandle, head: Buffer): Promise<void> {
  const length = await lengthOf(file);
  if (length === undefined || !(await footerIsMissing(file, head, length))) return;
  throw new StrataError(
    'source_truncated',
    'The stream-optimised VMDK has no footer: the end of the file is missing.',
  );
}
