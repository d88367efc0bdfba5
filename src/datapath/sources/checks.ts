import { refuseTooLarge } from '../../shared/diskSize.js';
import { StrataError } from '../../shared/errors.js';

/** @throws size_not_aligned for anything but a positive multiple of 512, source_too_large */
export function checkSize(sizeBytes: number, field: string): number {
  refuseTooLarge(sizeBytes, field);
  if (sizeBytes > 0 && sizeBytes % 512 === 0) return sizeBytes;
  throw new StrataError(
    'size_not_aligned',
    `A disk of ${sizeBytes} bytes is not a positive multiple of 512 bytes, as every disk of a hypervisor is: is it the whole disk? A raw file can be filled up with zeros (truncate --size %512 FILE).`,
    { field },
  );
}

/** The same error with the field that caused it. */
export function withField(error: StrataError, field: string): StrataError {
  return new StrataError(error.code, error.message, { cause: error, details: error.details, field });
}
