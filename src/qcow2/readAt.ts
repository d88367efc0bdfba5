import { type FileHandle, readFile } from 'node:fs/promises';
import { SYSFS_SECTOR, sysBlockOf } from '../shared/blockDevice.js';
import { errnoOf } from '../shared/errors.js';
import { readDirect } from '../shared/readDirect.js';
import { sourceReadError } from '../shared/sourceReadError.js';

/**
 * Up to `length` bytes from `position`; fewer at the end of the file, which may have been opened with O_DIRECT.
 * @throws source_io_error and the like, see sourceReadError
 */
export async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const read = async (target: Buffer, from: number) =>
    (await file.read(target, 0, target.length, from)).bytesRead;
  const filled = await readDirect(read, buffer, position).catch((error: unknown) => {
    throw sourceReadError(error);
  });
  return buffer.subarray(0, filled);
}

/**
 * Length of an open file or block device, in bytes. Undefined for a device whose size the kernel does not tell here: in a
 * container without /sys.
 */
export async function lengthOf(file: FileHandle): Promise<number | undefined> {
  const found = await file.stat({ bigint: true });
  if (!found.isBlockDevice()) return Number(found.size);
  try {
    return Number(await readFile(`${sysBlockOf(found.rdev)}/size`, 'utf8')) * SYSFS_SECTOR;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
