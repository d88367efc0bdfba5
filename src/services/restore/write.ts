import { contentIdOfImage, copyOut, type RateLimit, type ReadBack } from '../../datapath/index.js';
import type { ImageFormat } from '../../qcow2/index.js';
import { isStrataError, StrataError } from '../../shared/errors.js';
import type { ReportProgress } from '../deps.js';
import type { Io } from '../job/under.js';
import { syncFile } from '../repository/durable.js';
import { isPointRight, targetUnreliable } from '../repository/readPoint.js';
import { isMoreThan } from './damage.js';
import { findDamage, type RestoredDamage } from './damage.js';
import type { RestoreRequest } from './request.js';
import { fromImages, fromImagesToTarget, IMAGE_TROUBLE, onTarget, type WrittenPath } from './sides.js';

export interface WriteOptions {
  request: RestoreRequest;
  /** A new file, or an existing block device. */
  target: WrittenPath;
  format: ImageFormat;
  targetExists: boolean;
  io: Io;
  report: ReportProgress;
}

/**
 * Copies the backup's content, flushes it to stable storage, and proves it unless the request says otherwise.
 * The caller removes what is left after a failure.
 * @returns what is wrong with it, where the request allows that anything is
 * @throws content_mismatch when the backup does not hold what was backed up any more; target_unreliable when it does, and
 *   the target does not; image_unreadable, repository_file_in_use, target_in_use, no_space, tool_failed
 */
export async function writeImage(options: WriteOptions): Promise<RestoredDamage | undefined> {
  const { request, target, format, io, report } = options;
  const { path } = target;
  const total = request.virtualSize;
  report({ phase: 'restoring', bytes_done: 0, bytes_total: total });
  const copy = () =>
    copyOut({
      image: request.images[0] ?? '',
      virtualSizeBytes: total,
      target: { path, format, exists: options.targetExists },
      salvage: request.allowDamaged,
      ...io,
      onProgress: ({ bytesDone }) =>
        report({ phase: 'restoring', bytes_done: bytesDone, bytes_total: total }),
    });
  await fromImagesToTarget(request, target, copy);
  // qemu-img convert does not flush by default.
  await onTarget(target, () => syncFile(path));
  return request.verify ? proveContent(options) : undefined;
}

async function proveContent(options: WriteOptions): Promise<RestoredDamage | undefined> {
  const { request, target, format } = options;
  const image = { type: 'file', path: target.path, format } as const;
  // The target is not in the repository: what is read back is no part of the repository's traffic.
  const readBack = readingBack(options, () => request.maxBytesPerSecond ?? undefined);
  if (request.allowDamaged) {
    const damage = await onTarget(target, () => findDamage(request, image, readBack));
    await assertOfPoint(options, damage);
    return damage;
  }
  const found = await onTarget(target, () => contentIdOfImage(image, request.virtualSize, readBack));
  if (found === request.contentId) return undefined;
  const details = { path: target.shown, expected: request.contentId, found };
  if (await isRight(options)) throw targetUnreliable(target.shown, true, details);
  throw new StrataError(
    'content_mismatch',
    'The restored content is not the content that was backed up, and the backup itself does not hold that any more.',
    { details },
  );
}

/** Whether the point itself is what was backed up. @throws image_unreadable */
function isRight(options: WriteOptions): Promise<boolean> {
  const { request, io } = options;
  const point = { ...request, image: request.images[0] ?? '' };
  return fromImages(request, () => isPointRight(point, readingBack(options, io.rate)));
}

/**
 * What is wrong with the target may be less what is wrong with the backup than with the target.
 * @throws target_unreliable
 */
async function assertOfPoint(options: WriteOptions, damage: RestoredDamage): Promise<void> {
  const { request, io, target } = options;
  if (damage.bytes === 0) return;
  const image = { type: 'file', path: request.images[0] ?? '', format: 'qcow2' } as const;
  let ofPoint: RestoredDamage;
  try {
    ofPoint = await findDamage(request, image, readingBack(options, io.rate));
  } catch (error) {
    // It cannot be read as a whole, which is why it is restored so: then the target cannot be told from it.
    if (isStrataError(error, ...IMAGE_TROUBLE)) return;
    throw error;
  }
  const right = ofPoint.bytes === 0;
  if (right || isMoreThan(damage, ofPoint))
    throw targetUnreliable(target.shown, right, { path: target.shown, damage, of_point: ofPoint });
}

function readingBack({ request, io, report }: WriteOptions, rate: RateLimit): ReadBack {
  const total = request.virtualSize;
  const tell = (done: number) => report({ phase: 'verifying', bytes_done: done, bytes_total: total });
  tell(0);
  return { ...io, rate, onProgress: ({ bytesDone }) => tell(bytesDone) };
}
