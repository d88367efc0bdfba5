import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfAborted } from '../../shared/abort.js';
import { errnoOf } from '../../shared/errors.js';
import { syncDirectory } from './durable.js';
import { assertRepository } from './marker.js';
import { QUARANTINE_NAME } from './reconcile/scan.js';
import { storedBytes } from './storedBytes.js';

/** What lies in a folder. */
export interface Held {
  files: number;
  /** Bytes that they take on the file system. */
  bytes: number;
}

const DAY_MS = 86_400_000;
/** One folder for each day on which files were set aside. */
const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** Counts what is in a repository's quarantine. @throws repository_unavailable when the repository is not there */
export async function countQuarantine(
  repository: { id: string; rootPath: string },
  signal: AbortSignal,
): Promise<Held> {
  await assertRepository(repository.rootPath, repository.id);
  return count(join(repository.rootPath, QUARANTINE_NAME), signal);
}

/**
 * Removes what was set aside so many days ago (invariant 7: with a grace, and reported). The day is that of the folder;
 * anything else in the quarantine is somebody else's and stays.
 * @returns what was removed
 * @throws repository_unavailable when the repository is not there
 */
export async function expireQuarantine(
  repository: { id: string; rootPath: string },
  { now, days, signal }: { now: Date; days: number; signal: AbortSignal },
): Promise<Held> {
  const { id, rootPath } = repository;
  await assertRepository(rootPath, id);
  const quarantine = join(rootPath, QUARANTINE_NAME);
  const removed: Held = { files: 0, bytes: 0 };
  for (const name of await namesIn(quarantine)) {
    throwIfAborted(signal);
    // The whole day has to have passed.
    const old = DAY.test(name) && now.getTime() - Date.parse(name) >= (days + 1) * DAY_MS;
    const path = join(quarantine, name);
    if (!old || !(await lstat(path)).isDirectory()) continue;
    const held = await count(path, signal);
    await assertRepository(rootPath, id);
    await rm(path, { recursive: true });
    await syncDirectory(quarantine);
    removed.files += held.files;
    removed.bytes += held.bytes;
  }
  return removed;
}

async function count(directory: string, signal: AbortSignal): Promise<Held> {
  const held: Held = { files: 0, bytes: 0 };
  for (const name of await namesIn(directory)) {
    throwIfAborted(signal);
    const path = join(directory, name);
    const stats = await lstat(path);
    if (stats.isDirectory()) {
      const below = await count(path, signal);
      held.files += below.files;
      held.bytes += below.bytes;
    } else {
      held.files++;
      held.bytes += storedBytes(stats);
    }
  }
  return held;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
