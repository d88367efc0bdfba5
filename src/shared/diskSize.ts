import { StrataError } from './errors.js';

/**
 * The largest disk that is backed up, in bytes: 64 TiB, the most that any format of a hypervisor holds (VHDX; VMDK 62 TiB). A
 * QCOW2 file of 64 KiB clusters could map 2 PiB and the digest index more, but a small file can claim to be that large, and
 * all of it would be walked.
 */
export const MOST_DISK_BYTES = 64 * 1024 ** 4;

/** @throws source_too_large at the field */
export function refuseTooLarge(bytes: number, field: string): void {
  if (bytes <= MOST_DISK_BYTES) return;
  throw new StrataError(
    'source_too_large',
    `A disk of ${bytes} bytes is larger than the ${MOST_DISK_BYTES} bytes (64 TiB) that are backed up.`,
    { field },
  );
}
