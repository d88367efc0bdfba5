import { errnoOf } from './errors.js';

/** What the kernel says of a single sector (errno(3)); ENODATA: XFS, SCSI; EILSEQ and EBADMSG: a checksum below is wrong. */
const BAD_SECTOR = ['EIO', 'EREMOTEIO', 'ENODATA', 'EILSEQ', 'EBADMSG'];

/**
 * True where an error, or what caused it, is that a disk did not give some of its bytes. It may give nothing at all: whoever
 * believes in bad sectors asks whether the repository is there.
 */
export function saysBadSector(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (BAD_SECTOR.includes(errnoOf(at) ?? '')) return true;
  }
  return false;
}
