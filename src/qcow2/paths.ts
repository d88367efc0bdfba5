import { isAbsolute } from 'node:path';
import { StrataError } from '../shared/errors.js';

/** QCOW2 stores at most 1023 bytes of backing file name (QEMU docs/interop/qcow2.txt, backing_file_size). */
export const MAX_BACKING_NAME_BYTES = 1023;

/**
 * Returns the path if it is absolute: with a leading `/` QEMU takes it neither for an option nor for a protocol
 * (`nbd:...`, `json:...`).
 * @throws path_not_allowed otherwise, or for a NUL character
 */
export function checkAbsolutePath(path: string): string {
  if (!isAbsolute(path) || path.includes('\0')) {
    throw new StrataError('path_not_allowed', 'The path of an image must be absolute.', {
      details: { path },
    });
  }
  return path;
}

/**
 * Returns a backing file's name if it is a plain file name: a chain is one directory, so that a copied directory
 * restores anywhere, and a name with a `:` would be opened as a protocol.
 * @throws invalid_name otherwise
 */
export function checkBackingName(name: string): string {
  const plain =
    name !== '' &&
    name !== '.' &&
    name !== '..' &&
    // oxlint-disable-next-line no-control-regex -- control characters are what this refuses
    !/[/:\u0000-\u001f\u007f]/.test(name) &&
    Buffer.byteLength(name) <= MAX_BACKING_NAME_BYTES;
  if (!plain) {
    throw new StrataError(
      'invalid_name',
      'A backing file is named by a plain file name without "/" and ":".',
      {
        details: { name },
      },
    );
  }
  return name;
}

/** A value inside an option string `key=value,key=value`: QEMU reads a doubled comma as one comma. */
export function escapeCommas(value: string): string {
  return value.replaceAll(',', ',,');
}
