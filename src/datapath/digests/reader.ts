import { StrataError, errnoOf } from '../../shared/errors.js';
import { openAtOnce } from '../../shared/files.js';
import { isZeroDigest } from './block.js';
import {
  CHECKSUM_BYTES,
  checkRun,
  decodeHeader,
  decodeRunHeader,
  type DigestHeader,
  HEADER_BYTES,
  invalid,
  KIND_DATA,
  KIND_END,
  KIND_ZERO,
  MAX_DATA_RUN,
  type RunHeader,
  RUN_HEADER_BYTES,
} from './format.js';
import { type DigestRun, DIGEST_BYTES } from './runs.js';
import { createWindowReader, type WindowReader } from './window.js';

const SMALLEST_FILE = HEADER_BYTES + RUN_HEADER_BYTES + CHECKSUM_BYTES;

export interface DigestIndex {
  header: DigestHeader;
  /**
   * The runs in block order, to be iterated once. Order and bounds are checked run by run, the checksum when the last
   * run was taken: **what was read is proved only when the iteration ends without an error.**
   */
  runs: AsyncIterableIterator<DigestRun>;
  /** Closes the file; safe to repeat. */
  close(): Promise<void>;
}

/**
 * Opens a digest index. Memory stays below 256 KiB whatever the size of the disk.
 * @throws file_missing when there is no such file
 * @throws digest_index_invalid for a malformed header, and later, from `runs`, for anything else that is wrong
 */
export async function openDigestIndex(path: string): Promise<DigestIndex> {
  const file = await openFile(path);
  try {
    const found = await file.stat();
    if (!found.isFile()) throw invalid('There is no regular file in the place of the digest index.');
    const { size } = found;
    if (size < SMALLEST_FILE) throw invalid(`The digest index has only ${size} bytes.`);
    const reader = createWindowReader(file, size);
    await reader.fill(HEADER_BYTES);
    const header = decodeHeader(reader.take(HEADER_BYTES));
    let closed = false;
    const close = async () => {
      if (closed) return;
      closed = true;
      await file.close();
    };
    return { header, runs: readRuns(reader, header.virtualSizeBytes), close };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The runs of a digest index, as `DigestIndex.runs`; the file is closed when the iteration ends. */
export async function* readDigestIndex(path: string): AsyncGenerator<DigestRun, void, undefined> {
  const index = await openDigestIndex(path);
  try {
    yield* index.runs;
  } finally {
    await index.close();
  }
}

async function openFile(path: string) {
  try {
    return await openAtOnce(path);
  } catch (error) {
    switch (errnoOf(error)) {
      case 'ENOENT':
        throw new StrataError('file_missing', `The digest index ${path} is missing.`, { cause: error });
      case 'ELOOP':
        throw invalid('A symbolic link that leads to itself is in the place of the digest index.');
      default:
        throw error;
    }
  }
}

async function* readRuns(
  reader: WindowReader,
  virtualSizeBytes: number,
): AsyncGenerator<DigestRun, void, undefined> {
  let next = 0;
  let dataBlocks = 0;
  for (;;) {
    if (!reader.ready(RUN_HEADER_BYTES)) await reader.fill(RUN_HEADER_BYTES);
    const run = decodeRunHeader(reader.take(RUN_HEADER_BYTES));
    if (run.kind === KIND_END) {
      checkEnd(run, dataBlocks);
      await reader.verify();
      return;
    }
    checkRun(run, next, virtualSizeBytes);
    next = run.first + run.count;
    if (run.kind === KIND_ZERO) {
      yield { kind: 'zero', first: run.first, count: run.count };
      continue;
    }
    if (run.kind !== KIND_DATA) throw invalid(`The digest index has a run of the unknown kind ${run.kind}.`);
    if (run.count > MAX_DATA_RUN) throw invalid(`The digest index has a data run of ${run.count} blocks.`);
    dataBlocks += run.count;
    const length = run.count * DIGEST_BYTES;
    if (!reader.ready(length)) await reader.fill(length);
    yield { kind: 'data', first: run.first, count: run.count, digests: checkedDigests(reader.take(length)) };
  }
}

function checkEnd({ first, count }: RunHeader, dataBlocks: number): void {
  if (count !== 0 || first !== dataBlocks)
    throw invalid('The end record of the digest index does not fit its runs.');
}

function checkedDigests(digests: Buffer): Buffer {
  for (let at = 0; at < digests.length; at += DIGEST_BYTES) {
    if (isZeroDigest(digests, at)) throw invalid('The digest index lists a block of zeros as data.');
  }
  return digests;
}
