import { Blake3Hasher } from '@napi-rs/blake-hash';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { StrataError, errnoOf } from '../../shared/errors.js';
import { isZeroDigest } from './block.js';
import {
  checkRun,
  type DigestHeader,
  encodeHeader,
  encodeRunHeader,
  invalid,
  KIND_DATA,
  KIND_END,
  KIND_ZERO,
  MAX_DATA_RUN,
  MAX_ZERO_RUN,
} from './format.js';
import { type DigestRun, DIGEST_BYTES, sliceRun } from './runs.js';
import { untilAborted } from '../untilAborted.js';
import { effectiveDigests, providedDigests } from './merge.js';

const WRITE_BYTES = 256 * 1024;

export interface DigestWriter {
  /**
   * Adds runs in increasing block order. Neighbours of one kind are joined.
   * @throws digest_index_invalid for a run out of order or beyond the disk
   */
  append(runs: readonly DigestRun[]): Promise<void>;
  /** Writes the end record and the checksum, flushes the file to stable storage, and closes it. */
  finish(): Promise<DigestTotals>;
  /** Closes and removes the unfinished file. Does nothing after `finish`. */
  abandon(): Promise<void>;
}

export interface DigestTotals {
  dataBlocks: number;
  zeroBlocks: number;
  fileBytes: number;
}

/**
 * Creates a digest index at `path`, which must not exist: give a temporary name, and rename it after `finish`.
 * Memory stays below 1 MiB whatever the size of the disk.
 * @throws file_exists when `path` exists
 */
export async function createDigestWriter(path: string, header: DigestHeader): Promise<DigestWriter> {
  const head = encodeHeader(header);
  const sink = hashingSink(await createFile(path));
  await sink.write(head);
  const totals = { dataBlocks: 0, zeroBlocks: 0 };
  const joiner = createJoiner(async (run) => {
    if (run.kind === 'data') totals.dataBlocks += run.count;
    else totals.zeroBlocks += run.count;
    await writeRun(sink, run);
  });
  let next = 0;
  let closed = false;
  return {
    async append(runs) {
      for (const run of runs) {
        checkRun(run, next, header.virtualSizeBytes);
        checkDigests(run);
        next = run.first + run.count;
        await joiner.add(run);
      }
    },
    async finish() {
      await joiner.flush();
      await sink.write(encodeRunHeader({ kind: KIND_END, first: totals.dataBlocks, count: 0 }));
      const fileBytes = await sink.finish();
      closed = true;
      return { ...totals, fileBytes };
    },
    async abandon() {
      if (closed) return;
      closed = true;
      await sink.close();
      await rm(path, { force: true });
    },
  };
}

async function createFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o640);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    throw new StrataError('file_exists', `The digest index ${path} exists already.`, { cause: error });
  }
}

function checkDigests(run: DigestRun): void {
  if (run.kind === 'zero') return;
  if (run.digests.length !== run.count * DIGEST_BYTES)
    throw invalid('A data run has the wrong number of digests.');
  for (let at = 0; at < run.digests.length; at += DIGEST_BYTES) {
    if (isZeroDigest(run.digests, at)) throw invalid('A block of zeros was given as data.');
  }
}

/** Joins neighbours, so that the file does not depend on the pieces in which its runs arrived. */
function createJoiner(emit: (run: DigestRun) => Promise<void>) {
  let held: DigestRun | undefined;
  let digests: Buffer[] = [];
  const flush = async () => {
    const run = held;
    if (!run) return;
    held = undefined;
    await emit(run.kind === 'zero' ? run : { ...run, digests: Buffer.concat(digests) });
    digests = [];
  };
  const add = async (run: DigestRun): Promise<void> => {
    const max = run.kind === 'zero' ? MAX_ZERO_RUN : MAX_DATA_RUN;
    let first = run.first;
    const end = run.first + run.count;
    while (first < end) {
      if (held && (held.kind !== run.kind || held.first + held.count !== first || held.count === max))
        await flush();
      held ??= run.kind === 'zero' ? { kind: 'zero', first, count: 0 } : { ...run, first, count: 0 };
      const piece = sliceRun(run, first, Math.min(end, first + max - held.count));
      if (piece.kind === 'data') digests.push(piece.digests);
      held.count += piece.count;
      first += piece.count;
    }
  };
  return { add, flush };
}

async function writeRun(sink: HashingSink, run: DigestRun): Promise<void> {
  const kind = run.kind === 'data' ? KIND_DATA : KIND_ZERO;
  await sink.write(encodeRunHeader({ kind, first: run.first, count: run.count }));
  if (run.kind === 'data') await sink.write(run.digests);
}

type HashingSink = ReturnType<typeof hashingSink>;

/** Collects small pieces into bigger writes, and hashes all that is written. */
function hashingSink(file: FileHandle) {
  const hasher = new Blake3Hasher();
  let pieces: Buffer[] = [];
  let held = 0;
  let fileBytes = 0;
  const drain = async () => {
    const bytes = Buffer.concat(pieces);
    pieces = [];
    held = 0;
    fileBytes += bytes.length;
    await file.writeFile(bytes);
  };
  return {
    async write(bytes: Buffer): Promise<void> {
      hasher.update(bytes);
      pieces.push(bytes);
      held += bytes.length;
      if (held >= WRITE_BYTES) await drain();
    },
    async finish(): Promise<number> {
      pieces.push(hasher.digestBuffer());
      await drain();
      await file.sync();
      await file.close();
      return fileBytes;
    },
    close: () => file.close(),
  };
}

/**
 * Writes one index for what several layers provide together, flushed; nothing is left of a failure.
 * @param target a temporary path, which must not exist
 * @param layers paths of the layers' indexes, topmost first
 * @param alone the merged layer stands on nothing: every block is provided, as the index of a full must
 * @throws file_exists, digest_index_invalid, or the signal's reason
 */
export async function mergeIndexes(
  target: string,
  header: DigestHeader,
  { layers, alone, signal }: { layers: readonly string[]; alone: boolean; signal: AbortSignal },
): Promise<void> {
  const writer = await createDigestWriter(target, header);
  try {
    const runs = (alone ? effectiveDigests : providedDigests)(layers, header.virtualSizeBytes);
    for await (const run of untilAborted(runs, signal)) await writer.append([run]);
    await writer.finish();
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}
