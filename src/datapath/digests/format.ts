import { StrataError } from '../../shared/errors.js';
import { BLOCK_SIZE } from '../../shared/extents.js';
import { blockCount } from './runs.js';

// The layout is described for other readers in docs/on-disk-format.md: change both or neither.
export const MAGIC = Buffer.from('STRATADG', 'ascii');
export const VERSION = 1;
export const HEADER_BYTES = 128;
export const RUN_HEADER_BYTES = 16;
export const CHECKSUM_BYTES = 32;
/** Data runs are cut here, so that neither a writer nor a reader needs more than 64 KiB for one. */
export const MAX_DATA_RUN = 4096;
/** The count of a run is a 32-bit number; longer zero runs are cut. */
export const MAX_ZERO_RUN = 0xffff_ffff;
const MAX_ID_BYTES = 64;
const ID_AT = 32;

export const KIND_END = 0;
export const KIND_DATA = 1;
export const KIND_ZERO = 2;

export interface DigestHeader {
  /** Size of the guest disk in bytes when the layer was written. */
  virtualSizeBytes: number;
  /** The backup that the layer belongs to: 1 to 64 bytes of UTF-8. */
  backupId: string;
}

export interface RunHeader {
  kind: number;
  /** Number of the run's first block; in the end record, the number of data blocks in the file. */
  first: number;
  /** Blocks in the run; 0 in the end record. */
  count: number;
}

/** @throws digest_index_invalid when a field does not fit the format */
export function encodeHeader({ virtualSizeBytes, backupId }: DigestHeader): Buffer {
  const id = Buffer.from(backupId, 'utf8');
  if (
    id.length === 0 ||
    id.length > MAX_ID_BYTES ||
    !Number.isSafeInteger(virtualSizeBytes) ||
    virtualSizeBytes < 0
  ) {
    throw invalid(`A digest index needs a backup id of 1 to 64 bytes and a size in whole bytes.`);
  }
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32LE(VERSION, 8);
  header.writeUInt32LE(BLOCK_SIZE, 12);
  header.writeBigUInt64LE(BigInt(virtualSizeBytes), 16);
  header.writeUInt32LE(id.length, 24);
  id.copy(header, ID_AT);
  return header;
}

/** @throws digest_index_invalid for a header that this version cannot read */
export function decodeHeader(header: Buffer): DigestHeader {
  if (!header.subarray(0, 8).equals(MAGIC)) throw invalid('The file is not a digest index.');
  const version = header.readUInt32LE(8);
  if (version !== VERSION)
    throw invalid(`The digest index has version ${version}; this reader knows ${VERSION}.`);
  const blockSize = header.readUInt32LE(12);
  if (blockSize !== BLOCK_SIZE)
    throw invalid(`The digest index has blocks of ${blockSize} bytes, not ${BLOCK_SIZE}.`);
  const idLength = header.readUInt32LE(24);
  if (idLength === 0 || idLength > MAX_ID_BYTES)
    throw invalid('The backup id of the digest index is malformed.');
  return {
    virtualSizeBytes: safeNumber(header.readBigUInt64LE(16)),
    backupId: header.toString('utf8', ID_AT, ID_AT + idLength),
  };
}

export function encodeRunHeader({ kind, first, count }: RunHeader): Buffer {
  const bytes = Buffer.alloc(RUN_HEADER_BYTES);
  bytes.writeBigUInt64LE(BigInt(first), 0);
  bytes.writeUInt32LE(kind, 8);
  bytes.writeUInt32LE(count, 12);
  return bytes;
}

export function decodeRunHeader(bytes: Buffer): RunHeader {
  return {
    first: safeNumber(bytes.readBigUInt64LE(0)),
    kind: bytes.readUInt32LE(8),
    count: bytes.readUInt32LE(12),
  };
}

/**
 * Checks that a run may follow a run that ended before block `next`.
 * @throws digest_index_invalid when it is empty, overlaps, goes back, or lies beyond the disk
 */
export function checkRun(
  run: { first: number; count: number },
  next: number,
  virtualSizeBytes: number,
): void {
  if (!Number.isSafeInteger(run.first) || !Number.isSafeInteger(run.count) || run.count < 1) {
    throw invalid('A run of the digest index is empty or malformed.');
  }
  if (run.first < next)
    throw invalid(`The run at block ${run.first} overlaps or precedes the one before it.`);
  if (run.first + run.count > blockCount(virtualSizeBytes)) {
    throw invalid(`The run at block ${run.first} ends beyond the disk's ${virtualSizeBytes} bytes.`);
  }
}

export function invalid(message: string, cause?: unknown): StrataError {
  return new StrataError('digest_index_invalid', message, cause === undefined ? {} : { cause });
}

function safeNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(`The digest index holds the number ${value}.`);
  return Number(value);
}
