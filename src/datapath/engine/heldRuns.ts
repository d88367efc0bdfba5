import type { ImageRef } from '../../qcow2/index.js';
import type { DigestRun } from '../digests/runs.js';
import { fileSource, type OpenSource } from '../sources/index.js';
import { type DigestImage, digestHeld, digestImage } from './imageDigests.js';

/**
 * An image without what it stands on: what it does not hold itself is then neither read nor taken for its own.
 * @param image absolute path of a QCOW2 file of Strata's own, with clusters of 64 KiB
 */
export function openLayer(
  image: string,
  virtualSizeBytes: number,
  scratchDir: string,
  signal: AbortSignal,
): OpenSource {
  const ref = { type: 'file', path: image, format: 'qcow2', noBacking: true } as const satisfies ImageRef;
  return fileSource(ref, virtualSizeBytes, scratchDir, signal);
}

/**
 * The digests of what an image itself holds, read from the file: what its digest index ought to say.
 * @param image its source is that of `openLayer`
 * @param overlay it stands on another, so that only what it holds is in its layer; otherwise it provides the whole disk
 */
export function heldRuns(image: DigestImage, overlay: boolean): AsyncGenerator<DigestRun, void, undefined> {
  return overlay ? digestHeld(image, true) : digestImage(image);
}
