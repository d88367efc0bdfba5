import type { FileHandle } from 'node:fs/promises';
import { StrataError } from '../shared/errors.js';
import { lengthOf, readAt } from './readAt.js';

/**
 * The footer of a VHD, big-endian (Microsoft, Virtual Hard Disk Image Format Specification 1.0). A fixed disk has one, as
 * its last sector; all others have a copy in the first.
 */
const FOOTER_BYTES = 512;
const COOKIE = 'conectix';
const DATA_OFFSET_AT = 16;
const CURRENT_SIZE_AT = 48;
const DISK_TYPE_AT = 60;
const FOOTER_CHECKSUM_AT = 64;

const FIXED = 2;
const DYNAMIC = 3;
const DIFFERENCING = 4;

/** The header of a dynamic disk, where the footer's data offset says. */
const HEADER_BYTES = 1024;
const HEADER_COOKIE = 'cxsparse';
const HEADER_CHECKSUM_AT = 36;

/**
 * Refuses a VHD that QEMU would read wrongly without an error: it looks at no disk type, so that it reads a differencing
 * disk as if there were no parent; it warns of a wrong checksum and goes on; it takes what begins like a footer for a
 * dynamic disk, although the guest of a fixed one writes there; and of a fixed disk what is missing reads as zeros.
 * @throws source_references_other_file (differencing), source_truncated, source_unsupported (another type),
 *   unknown_format (no footer), source_missing (damaged)
 */
export async function checkVhd(file: FileHandle): Promise<void> {
  const length = await lengthOf(file);
  const head = footerOf(await readAt(file, 0, FOOTER_BYTES));
  const end = length === undefined ? undefined : await lastSector(file, length);
  for (const footer of [head, end]) if (footer) checkFooter(footer);
  if (head) {
    if (length !== undefined && !end) {
      throw new StrataError(
        'source_truncated',
        'The VHD has no footer in its last sector: the end of the file is missing.',
      );
    }
    if (end && end.type !== head.type) throw ambiguous();
    await checkDynamic(file, head);
  } else if (end) {
    checkFixed(end, length ?? 0);
  } else {
    throw new StrataError('unknown_format', 'The source has no VHD footer, or its end is missing.');
  }
}

interface Footer {
  type: number;
  dataOffset: bigint;
  currentSize: bigint;
  sound: boolean;
}

async function lastSector(file: FileHandle, length: number): Promise<Footer | undefined> {
  return length < FOOTER_BYTES
    ? undefined
    : footerOf(await readAt(file, length - FOOTER_BYTES, FOOTER_BYTES));
}

function footerOf(bytes: Buffer): Footer | undefined {
  if (bytes.length < FOOTER_BYTES || bytes.toString('latin1', 0, COOKIE.length) !== COOKIE) return undefined;
  return {
    type: bytes.readUInt32BE(DISK_TYPE_AT),
    dataOffset: bytes.readBigUInt64BE(DATA_OFFSET_AT),
    currentSize: bytes.readBigUInt64BE(CURRENT_SIZE_AT),
    sound: bytes.readUInt32BE(FOOTER_CHECKSUM_AT) === vhdChecksum(bytes, FOOTER_CHECKSUM_AT),
  };
}

/** The one's complement of the sum of all bytes but the checksum's own. */
export function vhdChecksum(bytes: Buffer, checksumAt: number): number {
  let sum = 0;
  for (const [at, byte] of bytes.entries()) if (at < checksumAt || at >= checksumAt + 4) sum += byte;
  return ~sum >>> 0;
}

function checkFooter({ type, sound }: Footer): void {
  if (!sound) throw damaged('the checksum of its footer is wrong');
  if (type === DIFFERENCING) {
    throw new StrataError(
      'source_references_other_file',
      'The VHD is a differencing disk: most of its content is in a parent. Merge it into its parent, or convert it with the tools of its hypervisor, and back up the result.',
    );
  }
  if (type !== FIXED && type !== DYNAMIC) {
    throw new StrataError('source_unsupported', `The VHD has the disk type ${type}; 2 and 3 are read.`);
  }
}

function checkFixed({ type, currentSize }: Footer, length: number): void {
  if (type !== FIXED) throw damaged('the copy of its footer in the first sector is missing');
  if (currentSize <= BigInt(length - FOOTER_BYTES)) return;
  throw new StrataError(
    'source_truncated',
    `The fixed VHD holds ${length - FOOTER_BYTES} bytes; its footer says ${currentSize}.`,
  );
}

async function checkDynamic(file: FileHandle, { type, dataOffset }: Footer): Promise<void> {
  if (type !== DYNAMIC) throw ambiguous();
  if (dataOffset > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged('its header is nowhere');
  const header = await readAt(file, Number(dataOffset), HEADER_BYTES);
  const found =
    header.length === HEADER_BYTES && header.toString('latin1', 0, HEADER_COOKIE.length) === HEADER_COOKIE;
  if (!found) throw damaged('its header is missing');
  if (header.readUInt32BE(HEADER_CHECKSUM_AT) !== vhdChecksum(header, HEADER_CHECKSUM_AT)) {
    throw damaged('the checksum of its header is wrong');
  }
}

function damaged(how: string): StrataError {
  return new StrataError('source_missing', `The VHD cannot be read: ${how}.`);
}

function ambiguous(): StrataError {
  return new StrataError(
    'source_unsupported',
    'The VHD begins like a dynamic disk and ends like a fixed one: which of them it is cannot be told.',
  );
}
