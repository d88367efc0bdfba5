import { statfs } from 'node:fs/promises';
import type { DataSource } from '../../db/database.js';
import { asking } from '../../db/transaction.js';
import { Repository } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';

export interface Capacity {
  totalBytes: number;
  usedBytes: number;
  /** What a process without privileges may still write. */
  availableBytes: number;
}

/** Reads how full the repository's file system is, and shows it in the catalogue. */
export async function recordCapacity(ds: DataSource, repository: Repository, now: Date): Promise<Capacity> {
  const { bsize, blocks, bfree, bavail } = await statfs(repository.rootPath);
  const capacity = {
    totalBytes: blocks * bsize,
    usedBytes: (blocks - bfree) * bsize,
    availableBytes: bavail * bsize,
  };
  await asking(() =>
    ds.getRepository(Repository).update({ id: repository.id }, { ...capacity, capacityReadAt: now }),
  );
  return capacity;
}

/**
 * Refuses to begin to write where the reserve is touched already: the job waits, and nothing half-written comes to be.
 * @throws no_space
 */
export function assertReserve(repository: Repository, { availableBytes }: Capacity): void {
  if (availableBytes >= repository.minFreeBytes) return;
  throw new StrataError(
    'no_space',
    `Repository ${repository.name} has ${availableBytes} bytes left; its reserve is ${repository.minFreeBytes}.`,
    { details: { repository: repository.name, available_bytes: availableBytes } },
  );
}
