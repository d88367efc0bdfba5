import { convertImage, createImage, imageInfo, type ImageRef } from '../../qcow2/index.js';
import { StrataError } from '../../shared/errors.js';
import { BLOCK_SIZE } from '../../shared/extents.js';
import { blockCount, type DigestWriter } from '../digests/index.js';
import { fileSource } from '../sources/index.js';
import { alignExtents } from './align.js';
import { digestImage } from './imageDigests.js';
import { intoOverlay, syncFile } from './overlay.js';
import { inScope, type Scope } from './scope.js';
import { createThrottle } from './throttle.js';
import type { LayerJob, LayerResult } from './types.js';
import { checkSourceSize, copyLayer, withDigestWriter } from './writeLayer.js';

export interface CopyFull extends LayerJob {
  /** Absolute temporary path of the new QCOW2 file; must not exist. */
  target: string;
}

/** Share of the work that is the conversion; the rest is reading the result back. Measured, for progress only. */
const CONVERT_SHARE = 0.6;
const COROUTINES = 16;

/**
 * Copies a whole source into a new QCOW2 file by `qemu-img convert`, and indexes what the **written file** holds by
 * reading it back: what the digests prove later is what was written. Both are on stable storage when it resolves. When
 * it rejects, the index is removed and no process is left; the half-written target is the caller's to remove.
 * @throws source_changed (size), file_exists (target or index), source_in_use, nbd_*, no_space, tool_failed, or the
 *   signal's reason
 */
export async function copyFull(job: CopyFull): Promise<LayerResult> {
  checkSourceSize(job);
  return inScope(job.signal, (scope) =>
    job.source.nativeOnly ? fullByClient(job, scope) : fullByConvert(job, scope),
  );
}

async function fullByConvert(job: CopyFull, scope: Scope): Promise<LayerResult> {
  const { source, target, virtualSizeBytes, onProgress, bytesPerSecond } = job;
  // Many NBD servers take one client at a time, and now that is qemu-img.
  await source.release();
  const report = (part: number) =>
    onProgress?.({ bytesDone: Math.floor(virtualSizeBytes * part), bytesTotal: virtualSizeBytes });
  // Written and read back through the page cache, while the fsync below brings it to the disk: on a disk of 0.5 GB/s this
  // was 2.8 s where direct writing and reading was 8 s, and as much as qemu-img convert with an fsync alone. The digests
  // are then of what was handed to the disk, so that a later reading by direct I/O shows if the disk keeps something else.
  await convertImage(
    source.imageRef,
    { type: 'file', path: target, format: 'qcow2' },
    {
      outOfOrder: true,
      coroutines: COROUTINES,
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
      onProgress: (percent) => report((percent / 100) * CONVERT_SHARE),
    },
    { signal: scope.signal },
  );
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

/** Writes the digest index of a whole image that was just written. */
async function indexImage(job: CopyFull, scope: Scope, onPosition: (bytes: number) => void): Promise<number> {
  const { target, virtualSizeBytes, scratchDir } = job;
  const ref = { type: 'file', path: target, format: 'qcow2' } as const satisfies ImageRef;
  await checkTargetSize(ref, virtualSizeBytes, scope);
  const image = fileSource(ref, virtualSizeBytes, scratchDir, scope.signal);
  try {
    const throttle = createThrottle(undefined, scope.signal);
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

/** For servers that only Strata's own client can read. */
async function fullByClient(job: CopyFull, scope: Scope): Promise<LayerResult> {
  const { target, virtualSizeBytes, onProgress } = job;
  const { signal } = scope;
  await createImage(target, { virtualSizeBytes }, { signal });
  const whole = alignExtents([{ offset: 0, length: virtualSizeBytes }], virtualSizeBytes);
  const throttle = createThrottle(job.bytesPerSecond, signal);
  return intoOverlay({ ...job, overlay: target, signal }, (client) =>
    copyLayer(
      job,
      { target: client, targetIsEmpty: true, extents: whole, throttle, scope },
      ({ offset, length }) => onProgress?.({ bytesDone: offset + length, bytesTotal: virtualSizeBytes }),
    ),
  );
}
