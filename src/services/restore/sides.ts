import { findOpener } from '../../datapath/index.js';
import { failedWrite, lockedFile } from '../../qcow2/index.js';
import { errnoOf, isStrataError, StrataError } from '../../shared/errors.js';
import { explainLock, lockedFileOf } from '../repository/lockedFile.js';
import type { RestoreRequest } from './request.js';

/** Where a restore writes. */
export interface WrittenPath {
  /** As the tools are told: below a directory that is open. */
  path: string;
  /** As people know it. */
  shown: string;
}

/** What a tool says that could not read an image, or what that stands on. */
export const IMAGE_TROUBLE = [
  'tool_failed',
  'unknown_format',
  'image_corrupt',
  'chain_broken',
  'nbd_io_error',
  'nbd_connection_lost',
  'nbd_refused',
  'nbd_protocol_error',
] as const;

/** What a file or device says that does not take or give bytes, or must not be written. */
const TARGET_ERRNOS = new Set([
  'EIO',
  'EROFS',
  'EACCES',
  'EPERM',
  'EFBIG',
  'ENODEV',
  'ENXIO',
  'ENOMEDIUM',
  'EREMOTEIO',
  'ENODATA',
  'EILSEQ',
  'EBADMSG',
  'ESTALE',
  'ENOTCONN',
]);

/** Work that only reads the images of the repository. @throws image_unreadable, repository_file_in_use */
export async function fromImages<T>(request: RestoreRequest, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw await imageError(request, error);
  }
}

/** Work that only reads or writes the target. @throws target_unreliable, target_in_use */
export async function onTarget<T>(target: WrittenPath, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw await targetError(target, error);
  }
}

/** Work that reads the one and writes the other. @throws as both */
export async function fromImagesToTarget<T>(
  request: RestoreRequest,
  target: WrittenPath,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isStrataError(error)) throw await targetError(target, error);
    const ofTarget =
      failedWrite(error, target.path) ||
      error.details['writing'] === true ||
      (lockedFile(error) !== undefined && lockedFileOf(error, request.root) === undefined);
    throw await (ofTarget ? targetError(target, error) : imageError(request, error));
  }
}

async function imageError({ backupId, root }: RestoreRequest, error: unknown): Promise<unknown> {
  if (!isStrataError(error, ...IMAGE_TROUBLE)) return explainLock(error, root);
  return new StrataError(
    'image_unreadable',
    `Backup ${backupId}, or what it stands on, cannot be read: ${error.message} A validation of its chain says what is wrong.`,
    { cause: error, details: error.details },
  );
}

async function targetError({ path, shown }: WrittenPath, error: unknown): Promise<unknown> {
  const field = { field: 'target.path' };
  if (isStrataError(error, 'source_in_use')) {
    const who = (await findOpener(path)) ?? 'a program that cannot be seen from here';
    const message = `${shown} is locked by ${who}; a restore would destroy what is there.`;
    return new StrataError('target_in_use', message, { ...field, cause: error, details: { path: shown } });
  }
  const isTrouble = isStrataError(error)
    ? isStrataError(error, ...IMAGE_TROUBLE, 'repository_unsupported')
    : TARGET_ERRNOS.has(errnoOf(error) ?? '');
  if (!isTrouble) return error;
  const said = (error as Error).message.replaceAll(path, shown);
  return new StrataError(
    'target_unreliable',
    `${shown} does not take or give what is restored to it: ${said}`,
    {
      ...field,
      cause: error,
      details: { path: shown },
    },
  );
}
