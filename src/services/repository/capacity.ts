import { statfs } from 'node:fs/promises';
import { StrataError } from '../../shared/errors.js';

export interface Capacity {
  totalBytes: number;
  usedBytes: number;
  /** What a process without privileges may still write. */
  availableBytes: number;
}

/** How full the file system is on which a path lies. */
export async function readCapacity(path: string): Promise<Capacity> {
  const { bsize, blocks, bfree, bavail } = await statfs(path);
  return {
    totalBytes: blocks * bsize,
    usedBytes: (blocks - bfree) * bsize,
    availableBytes: bavail * bsize,
  };
}

/**
 * Refuses to begin to write where the reserve is touched already: the job waits, and nothing half-written comes to be.
 * @throws no_space
 */
export function assertReserve(
  { name, minFreeBytes }: { name: string; minFreeBytes: number },
  { availableBytes }: Capacity,
): void {
  if (availableBytes >= minFreeBytes) return;
  throw new StrataError(
    'no_space',
    `Repository ${name} has ${availableBytes} bytes left; its reserve is ${minFreeBytes}.`,
    { details: { repository: name, available_bytes: availableBytes } },
  );
}
