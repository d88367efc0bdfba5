import { StrataError } from '../../shared/errors.js';
import { createDigestWriter, type DigestTotals, type DigestWriter } from '../digests/index.js';
import { type CopiedPiece, type CopyExtents, copyExtents } from './copyExtents.js';
import type { LayerJob, LayerResult } from './types.js';

/**
 * Writes a digest index by `fill`, and removes it again if that fails.
 * @throws what `fill` throws, file_exists
 */
export async function withDigestWriter(
  { digestPath, virtualSizeBytes, backupId }: Pick<LayerJob, 'digestPath' | 'virtualSizeBytes' | 'backupId'>,
  fill: (writer: DigestWriter) => Promise<void>,
): Promise<DigestTotals> {
  const writer = await createDigestWriter(digestPath, { virtualSizeBytes, backupId });
  try {
    await fill(writer);
    return await writer.finish();
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}

/** @throws source_changed when the source does not have the size that the layer was planned for */
export function checkSourceSize({ source, virtualSizeBytes }: LayerJob): void {
  if (source.sizeBytes === virtualSizeBytes) return;
  throw new StrataError(
    'source_changed',
    `The source has ${source.sizeBytes} bytes; the backup was planned for ${virtualSizeBytes}.`,
  );
}

/** Copies aligned extents into an image and indexes them: the part that all copies by the engine share. */
export async function copyLayer(
  job: LayerJob,
  copy: Omit<CopyExtents, 'source' | 'digests' | 'onPiece'>,
  onPiece?: (piece: CopiedPiece) => void,
): Promise<LayerResult> {
  let bytesRead = 0;
  let bytesWritten = 0;
  const count = (piece: CopiedPiece) => {
    bytesRead += piece.bytesRead;
    bytesWritten += piece.bytesWritten;
    onPiece?.(piece);
  };
  const { dataBlocks, zeroBlocks } = await withDigestWriter(job, (digests) =>
    copyExtents({ ...copy, source: job.source, digests, onPiece: count }),
  );
  return { bytesRead, bytesWritten, dataBlocks, zeroBlocks };
}
