import { rm } from 'node:fs/promises';
import { convertImage, createImage, failedRead, imageInfo, type ImageRef } from '../../qcow2/index.js';
import { isStrataError, StrataError } from '../../shared/errors.js';
import { BLOCK_SIZE } from '../../shared/extents.js';
import { blockCount, type DigestWriter } from '../digests/index.js';
import { fileSource } from '../sources/index.js';
import { alignExtents } from './align.js';
import { digestImage } from './imageDigests.js';
import { intoImage, syncFile } from './intoImage.js';
import { inScope, type Scope } from './scope.js';
import { createThrottle } from './throttle.js';
import type { LayerJob, LayerResult } from './types.js';
import { whileUnlimited } from './whileUnlimited.js';
import { checkSourceSize, copyLayer, withDigestWriter } from './writeLayer.js';

export interface CopyFull extends LayerJob {
  /** Absolute temporary path of the new QCOW2 file; must not exist. */
  target: string;
}

/** Share of the work that is the conversion; the rest is reading the result back. Measured, for progress only. */
const CONVERT_SHARE = 0.6;
const COROUTINES = 16;

/**
 * Copies a whole source into a new QCOW2 file. Without a limit by `qemu-img convert`, and what the **written file** holds
 * is indexed by reading it back: what the digests prove later is what was written. Under a limit, and from NBD servers, which
 * only Strata's own client reads, by the engine, with digests of what it writes: qemu-img cannot follow a limit that
 * changes, and reading back would move everything twice (docs/decisions/0010-limits-that-change.md). Both are on stable
 * storage when it resolves. When it rejects, the index is removed and no process is left; the half-written target is the
 * caller's to remove.
 * @throws source_changed (size), file_exists (target or index), source_in_use, source_io_error, nbd_*, no_space,
 *   tool_failed, or the signal's reason
 */
export async function copyFull(job: CopyFull): Promise<LayerResult> {
  checkSourceSize(job);
  return inScope(job.signal, async (scope) => {
    if (job.source.nativeOnly) return fullByClient(job, scope);
    const converted = await whileUnlimited(job.rate, scope, (signal, onShare) =>
      convertFull(job, signal, onShare),
    );
    if (converted) return indexFull(job, scope);
    // What a stopped conversion has left; the next writer wants to create it.
    await rm(job.target, { force: true });
    return fullByClient(job, scope);
  });
}

function reporter({ virtualSizeBytes, onProgress }: CopyFull): (part: number) => void {
  return (part) =>
    onProgress?.({ bytesDone: Math.floor(virtualSizeBytes * part), bytesTotal: virtualSizeBytes });
}

async function convertFull(
  job: CopyFull,
  signal: AbortSignal,
  onShare: (share: number) => void,
): Promise<void> {
  const { source, target } = job;
  const report = reporter(job);
  // What reads the file beside qemu-img would hold locks and memory for nothing.
  await source.release();
  // Written and read back through the page cache, while the fsync below brings it to the disk: on a disk of 0.5 GB/s this
  // was 2.8 s where direct writing and reading was 8 s, and as much as qemu-img convert with an fsync alone. The digests
  // are then of what was handed to the disk, so that a later reading by direct I/O shows if the disk keeps something else.
  const from = await source.toolRef();
  await convertImage(
    from,
    { type: 'file', path: target, format: 'qcow2' },
    {
      outOfOrder: true,
      coroutines: COROUTINES,
      ...(from.type === 'file' && from.direct === true ? { sourceCache: 'none' } : {}),
      onProgress: (percent) => {
        onShare(percent / 100);
        report((percent / 100) * CONVERT_SHARE);
      },
    },
    { signal },
  ).catch((error: unknown) => {
    throw explainRead(error);
  });
}

async function indexFull(job: CopyFull, scope: Scope): Promise<LayerResult> {
  const { target, virtualSizeBytes } = job;
  const report = reporter(job);
  const [dataBlocks] = await Promise.all([
    indexImage(job, scope, (done) => report(CONVERT_SHARE + (1 - CONVERT_SHARE) * (done / virtualSizeBytes))),
    syncFile(target),
  ]);
  const bytes = Math.min(dataBlocks * BLOCK_SIZE, virtualSizeBytes);
  return {
    bytesRead: bytes,
    bytesWritten: bytes,
    dataBlocks,
    zeroBlocks: blockCount(virtualSizeBytes) - dataBlocks,
  };
}

/** qemu-img says in the same words that it could not read the source and that it could not write the target. */
function explainRead(error: unknown): unknown {
  if (!isStrataError(error) || !failedRead(error)) return error;
  return new StrataError('source_io_error', error.message, { cause: error, details: error.details });
}

/** Writes the digest index of a whole image that was just written. */
async function indexImage(job: CopyFull, scope: Scope, onPosition: (bytes: number) => void): Promise<number> {
  const { target, virtualSizeBytes, scratchDir } = job;
  const ref = { type: 'file', path: target, format: 'qcow2' } as const satisfies ImageRef;
  await checkTargetSize(ref, virtualSizeBytes, scope);
  const image = fileSource(ref, virtualSizeBytes, scratchDir, scope.signal);
  try {
    // A limit may have come while the conversion was let finish.
    const throttle = createThrottle(job.rate, scope.signal);
    const { dataBlocks } = await withDigestWriter(job, (writer) =>
      indexRuns(writer, digestImage({ source: image, scope, throttle, throughCache: true, onPosition })),
    );
    return dataBlocks;
  } finally {
    await image.close();
  }
}

async function indexRuns(writer: DigestWriter, runs: ReturnType<typeof digestImage>): Promise<void> {
  for await (const run of runs) await writer.append([run]);
}

async function checkTargetSize(ref: ImageRef, virtualSizeBytes: number, { signal }: Scope): Promise<void> {
  const { virtualSizeBytes: actual } = await imageInfo(ref, { signal });
  if (actual === virtualSizeBytes) return;
  throw new StrataError('source_changed', `The source was resized to ${actual} bytes while it was read.`);
}

async function fullByClient(job: CopyFull, scope: Scope): Promise<LayerResult> {
  const { target, virtualSizeBytes, onProgress } = job;
  const { signal } = scope;
  await createImage(target, { virtualSizeBytes }, { signal });
  const whole = alignExtents([{ offset: 0, length: virtualSizeBytes }], virtualSizeBytes);
  const throttle = createThrottle(job.rate, signal);
  return intoImage({ ...job, image: target, signal }, (client) =>
    copyLayer(
      job,
      { target: client, targetIsEmpty: true, extents: whole, throttle, scope },
      ({ offset, length }) => onProgress?.({ bytesDone: offset + length, bytesTotal: virtualSizeBytes }),
    ),
  );
}
