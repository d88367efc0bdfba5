import { contentIdOfImage, copyOut, type RateLimit, type ReadBack } from '../../datapath/index.js';
import type { ImageFormat } from '../../qcow2/index.js';
import { StrataError } from '../../shared/errors.js';
import type { ReportProgress } from '../deps.js';
import { syncFile } from '../repository/durable.js';
import { findDamage, type RestoredDamage } from './damage.js';
import type { RestoreRequest } from './request.js';

export interface WriteOptions {
  request: RestoreRequest;
  /** Where to write: a new file, or an existing block device. */
  path: string;
  format: ImageFormat;
  targetExists: boolean;
  scratchDir: string;
  rate: RateLimit;
  signal: AbortSignal;
  report: ReportProgress;
}

/**
 * Copies the backup's content, flushes it to stable storage, and proves it unless the request says otherwise.
 * The caller removes what is left after a failure.
 * @returns what is wrong with it, where the request allows that anything is
 * @throws content_mismatch when what is read back is not what was backed up; no_space, tool_failed
 */
export async function writeImage(options: WriteOptions): Promise<RestoredDamage | undefined> {
  const { request, path, format, signal, report } = options;
  const total = request.virtualSize;
  report({ phase: 'restoring', bytes_done: 0, bytes_total: total });
  await copyOut({
    image: request.images[0] ?? '',
    virtualSizeBytes: total,
    target: { path, format, exists: options.targetExists },
    salvage: request.allowDamaged,
    rate: options.rate,
    signal,
    scratchDir: options.scratchDir,
    onProgress: ({ bytesDone }) => report({ phase: 'restoring', bytes_done: bytesDone, bytes_total: total }),
  });
  // qemu-img convert does not flush by default.
  await syncFile(path);
  return request.verify ? proveContent(options) : undefined;
}

async function proveContent({
  request,
  path,
  format,
  scratchDir,
  signal,
  report,
}: WriteOptions): Promise<RestoredDamage | undefined> {
  const total = request.virtualSize;
  report({ phase: 'verifying', bytes_done: 0, bytes_total: total });
  const readBack: ReadBack = {
    signal,
    scratchDir,
    // The target is not in the repository: what is read back is no part of the repository's traffic.
    rate: () => request.maxBytesPerSecond ?? undefined,
    onProgress: ({ bytesDone }) => report({ phase: 'verifying', bytes_done: bytesDone, bytes_total: total }),
  };
  const target = { type: 'file', path, format } as const;
  if (request.allowDamaged) return findDamage(request, target, readBack);
  const found = await contentIdOfImage(target, total, readBack);
  if (found === request.contentId) return undefined;
  throw new StrataError('content_mismatch', 'The restored content is not the content that was backed up.', {
    details: { path, expected: request.contentId, found },
  });
}
