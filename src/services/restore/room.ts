import { statfs } from 'node:fs/promises';
import { imageInfo, measureImage } from '../../qcow2/index.js';
import { StrataError } from '../../shared/errors.js';
import type { TargetDirectory } from './targetDirectory.js';

/**
 * Refuses a restore that certainly does not fit, before it begins. What the guest's data takes as QCOW2 is the least
 * that any of the formats takes: all are written sparse. A format that takes more may still run out of room later.
 * @param image absolute path of the backup's image
 * @param directory of the target
 * @throws no_space with `needed_bytes` and `available_bytes`
 */
export async function assertRoom(
  image: string,
  directory: TargetDirectory,
  signal: AbortSignal,
): Promise<void> {
  const { requiredBytes } = await measureImage({ type: 'file', path: image, format: 'qcow2' }, 'qcow2', {
    signal,
  });
  const { bavail, bsize } = await statfs(directory.at());
  const available = bavail * bsize;
  if (requiredBytes <= available) return;
  throw new StrataError(
    'no_space',
    `The restore takes at least ${requiredBytes} bytes; ${directory.path} has ${available} bytes left.`,
    { details: { path: directory.path, needed_bytes: requiredBytes, available_bytes: available } },
  );
}

/** @throws invalid_request for a block device that is smaller than the disk; it never gets any larger by waiting */
export async function assertDeviceHolds(
  device: string,
  shown: string,
  virtualSize: number,
  signal: AbortSignal,
): Promise<void> {
  const { virtualSizeBytes } = await imageInfo({ type: 'file', path: device, format: 'raw' }, { signal });
  if (virtualSizeBytes >= virtualSize) return;
  throw new StrataError(
    'invalid_request',
    `The disk has ${virtualSize} bytes; the device ${shown} has ${virtualSizeBytes}.`,
    { field: 'target.path', details: { needed_bytes: virtualSize, available_bytes: virtualSizeBytes } },
  );
}
