import { type FileHandle, readFile } from 'node:fs/promises';
import { errnoOf } from '../shared/errors.js';
import { sourceReadError } from '../shared/sourceReadError.js';

/**
 * Up to `length` bytes from `position`; fewer at the end of the file.
 * @throws source_io_error and the like, see sourceReadError
 */
export async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file
      .read(buffer, filled, length - filled, position + filled)
      .catch((error: unknown) => {
        throw sourceReadError(error);
      });
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** Bytes of a sector in /sys/dev/block, whatever the device's own sectors are (Linux, block/genhd.c). */
const SYSFS_SECTOR = 512;

/**
 * Length of an open file or block device, in bytes. Undefined for a device whose size the kernel does not tell here: in a
 * container without /sys.
 */
export async function lengthOf(file: FileHandle): Promise<number | undefined> {
  const found = await file.stat({ bigint: true });
  if (!found.isBlockDevice()) return Number(found.size);
  // gnu_dev_major and gnu_dev_minor of <sys/sysmacros.h>.
  const major = ((found.rdev >> 8n) & 0xfffn) | ((found.rdev >> 32n) & ~0xfffn);
  const minor = (found.rdev & 0xffn) | ((found.rdev >> 12n) & 0xffffff00n);
  try {
    return Number(await readFile(`/sys/dev/block/${major}:${minor}/size`, 'utf8')) * SYSFS_SECTOR;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
