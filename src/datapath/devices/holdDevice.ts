import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { deviceNumber } from './deviceNumber.js';
import { findUse } from './holders.js';

/** A block device that nobody else can mount, swap to, map or take so for as long as it is held. */
export interface HeldDevice {
  /** Leads to this very device, in child processes too, whatever its name has come to mean. */
  path: string;
  close(): Promise<void>;
}

const FIELD = { field: 'target.path' };

/**
 * Takes a block device for writing. On Linux `O_EXCL` without `O_CREAT` claims a device as a mount does: it fails while the
 * device, the disk that it is a partition of, or one of its partitions is mounted, swap, mapped, or held so by another process
 * (open(2)). It keeps nobody from opening the device without the flag, as QEMU tools do: those who have it open for
 * writing, and loop devices over it, are looked for.
 * @throws target_in_use with who uses it, where that can be seen; target_changed where the path is no such device any more
 */
export async function holdDevice(path: string): Promise<HeldDevice> {
  const handle = await claim(path);
  try {
    const found = await handle.stat({ bigint: true });
    if (!found.isBlockDevice()) {
      throw new StrataError('target_changed', `${path} is not a block device any more.`, FIELD);
    }
    const use = await findUse(deviceNumber(found.rdev));
    if (use !== undefined) throw inUse(path, use);
    return { path: `/proc/${process.pid}/fd/${handle.fd}`, close: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function claim(path: string): Promise<FileHandle> {
  const { O_RDWR, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;
  try {
    return await open(path, O_RDWR | O_EXCL | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    switch (errnoOf(error)) {
      case 'EBUSY':
        throw inUse(path, await whoHolds(path), error);
      case 'EROFS':
      case 'EACCES':
      case 'EPERM':
        throw new StrataError('path_not_allowed', `${path} cannot be written: ${(error as Error).message}`, {
          ...FIELD,
          cause: error,
        });
      case 'ENOENT':
      case 'ELOOP':
      case 'ENXIO':
      case 'ENOMEDIUM':
        throw new StrataError('target_changed', `${path} is not there any more.`, { ...FIELD, cause: error });
      default:
        throw error;
    }
  }
}

async function whoHolds(path: string): Promise<string> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const use = await findUse(deviceNumber((await handle.stat({ bigint: true })).rdev));
    return use ?? 'is held by something that cannot be seen from here, such as a mount in another namespace';
  } finally {
    await handle.close();
  }
}

function inUse(path: string, use: string, cause?: unknown): StrataError {
  return new StrataError(
    'target_in_use',
    `The device ${path} ${use}; a restore would destroy what is there.`,
    {
      ...FIELD,
      details: { path, use },
      ...(cause === undefined ? {} : { cause }),
    },
  );
}
