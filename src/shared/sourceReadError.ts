import { asStrataError, errnoOf, StrataError } from './errors.js';

/** What the kernel says of a bad sector, a medium that is gone, or a network file system that went away (errno(3)). */
const MEDIUM = new Set([
  'EIO',
  'ESTALE',
  'ENOTCONN',
  'ENODEV',
  'ENXIO',
  'ENOMEDIUM',
  'EREMOTEIO',
  'ETIMEDOUT',
  'EHOSTDOWN',
  // XFS and the SCSI layer for a sector that cannot be read; dm-integrity and ext4 for one whose checksum is wrong.
  'ENODATA',
  'EILSEQ',
  'EBADMSG',
]);

/**
 * The error of reading a backup's source. The same errno on a file of the repository means that the repository went
 * away, for which a job waits at no cost: a source must not be taken for it, or a bad sector is read for a day.
 * @returns source_io_error with the cause, or what asStrataError makes of it
 */
export function sourceReadError(error: unknown): StrataError {
  const errno = errnoOf(error);
  if (errno === undefined || !MEDIUM.has(errno)) return asStrataError(error);
  return new StrataError('source_io_error', `The source could not be read (${errno}).`, {
    cause: error,
    details: { errno },
  });
}
