import { rm } from 'node:fs/promises';
import { convertImage, createImage, type ImageFormat, type ImageRef } from '../../qcow2/index.js';
import { fileSource } from '../sources/index.js';
import { alignExtents } from './align.js';
import { copyExtents } from './copyExtents.js';
import { intoImage } from './intoImage.js';
import { inScope, type Scope } from './scope.js';
import { createThrottle, type RateLimit } from './throttle.js';
import type { Progress } from './types.js';
import { whileUnlimited } from './whileUnlimited.js';

export interface CopyOut {
  /** Absolute path of a QCOW2 image of Strata's own; what it stands on is read with it. */
  image: string;
  virtualSizeBytes: number;
  /** A new file, or an existing block device that is large enough. */
  target: { path: string; format: ImageFormat; exists: boolean };
  /** Blocks that cannot be read become zeros, and do not end the copy. */
  salvage?: boolean;
  /** Limits the average rate at which the image is read. */
  rate?: RateLimit;
  onProgress?: (progress: Progress) => void;
  signal: AbortSignal;
  /** A private directory (mode 0700) with a short path, for unix sockets. */
  scratchDir: string;
}

/** The most that qemu-img takes; a deep chain on a slow disk gains from each. */
const COROUTINES = 16;

/**
 * Copies what an image and all below it hold to a file or a block device: by `qemu-img convert`, or, under a limit, by the
 * engine. Salvage is qemu-img's own: the limit is then that of its beginning. The caller flushes the target, and removes it after a failure.
 * @throws file_exists, no_space, tool_failed, or the signal's reason
 */
export async function copyOut(job: CopyOut): Promise<void> {
  const { path, exists } = job.target;
  await inScope(job.signal, async (scope) => {
    if (job.salvage === true) return outByConvert(job, scope.signal, () => undefined);
    if (await whileUnlimited(job.rate, scope, (signal, onShare) => outByConvert(job, signal, onShare)))
      return;
    if (!exists) await rm(path, { force: true });
    await outByEngine(job, scope);
  });
}

async function outByConvert(
  { image, virtualSizeBytes, target, rate, salvage = false, onProgress }: CopyOut,
  signal: AbortSignal,
  onShare: (share: number) => void,
): Promise<void> {
  const { path, format, exists } = target;
  const bytesPerSecond = salvage ? rate?.() : undefined;
  await convertImage(
    { type: 'file', path: image, format: 'qcow2' },
    { type: 'file', path, format },
    {
      outOfOrder: true,
      coroutines: COROUTINES,
      targetExists: exists,
      salvage,
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
      onProgress: (percent) => {
        onShare(percent / 100);
        onProgress?.({
          bytesDone: Math.floor((virtualSizeBytes * percent) / 100),
          bytesTotal: virtualSizeBytes,
        });
      },
    },
    { signal },
  );
}

async function outByEngine(job: CopyOut, scope: Scope): Promise<void> {
  const { image, virtualSizeBytes, target, scratchDir, onProgress } = job;
  const { signal } = scope;
  const { path, format, exists } = target;
  const ref = { type: 'file', path: image, format: 'qcow2' } as const satisfies ImageRef;
  const source = fileSource(ref, virtualSizeBytes, scratchDir, signal);
  try {
    if (!exists) await createImage(path, { virtualSizeBytes, format }, { signal });
    // A restore may go to any file system, to one without direct I/O too.
    const into = { image: path, format, cache: 'writeback', virtualSizeBytes, scratchDir, signal } as const;
    await intoImage(into, (client) =>
      copyExtents({
        source,
        target: client,
        targetIsEmpty: !exists,
        extents: alignExtents([{ offset: 0, length: virtualSizeBytes }], virtualSizeBytes),
        throttle: createThrottle(job.rate, signal),
        scope,
        onPiece: ({ offset, length }) =>
          onProgress?.({ bytesDone: offset + length, bytesTotal: virtualSizeBytes }),
      }),
    );
  } finally {
    await source.close();
  }
}
