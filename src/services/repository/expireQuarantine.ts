import { lstat, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { throwIfAborted } from '../../shared/abort.js';
import { errnoOf } from '../../shared/errors.js';
import { removeFiles, syncDirectory } from './durable.js';
import { sidecarsOf } from './layout.js';
import { assertRepository } from './marker.js';
import { QUARANTINE_NAME } from './scan.js';
import {
  heldImages,
  isOfNoCatalogue,
  type ImageOnDisk,
  isQuarantined,
  listQuarantined,
  quarantineDays,
  readAllImages,
  readQuarantined,
  type Quarantined,
  topsFirst,
  wholeImages,
} from './standing/index.js';
import { storedBytes } from './durable.js';

/** What lies in a folder. */
export interface Held {
  files: number;
  /** Bytes that they take on the file system. */
  bytes: number;
}

const DAY_MS = 86_400_000;

/** Counts what is in a repository's quarantine. @throws repository_unavailable when the repository is not there */
export async function countQuarantine(
  repository: { id: string; rootPath: string },
  signal: AbortSignal,
): Promise<Held> {
  await assertRepository(repository.rootPath, repository.id);
  return count(join(repository.rootPath, QUARANTINE_NAME), signal);
}

export interface Expiry {
  now: Date;
  days: number;
  signal: AbortSignal;
  /** Told of images whose time is over and that stay all the same, relative to the root. */
  onKept?: (paths: readonly string[]) => void;
}

/**
 * Removes what was set aside so many days ago (invariant 7: with a grace, and reported). The day is that of the folder;
 * anything else in the quarantine is somebody else's and stays. So does an image on which another stands that stays, and
 * one that no catalogue knew and `qemu-img` restores, each with its sidecars: no age removes them.
 * @returns what was removed
 * @throws repository_unavailable when the repository is not there, or anything on which images may stand cannot be looked at
 */
export async function expireQuarantine(
  repository: { id: string; rootPath: string },
  { now, days, signal, onKept }: Expiry,
): Promise<Held> {
  const { id, rootPath: root } = repository;
  await assertRepository(root, id);
  const all = await quarantineDays(root, signal);
  // The whole day has to have passed.
  const over = all.filter((day) => now.getTime() - Date.parse(day) >= (days + 1) * DAY_MS);
  if (over.length === 0) return { files: 0, bytes: 0 };
  const files = await listQuarantined(root, { days: all, signal });
  const old = files.filter(({ day }) => over.includes(day));
  const { kept, order } = await judge(repository, files, old, signal);
  if (kept.length > 0) onKept?.(kept);
  await assertRepository(root, id);
  const removed: Held = { files: 0, bytes: 0 };
  for (const { path, note } of inOrder(old, kept, order)) {
    throwIfAborted(signal);
    await remove(root, note === undefined ? [path] : [path, note], removed);
  }
  const keeping = new Set(kept.map((path) => path.split('/')[1]));
  for (const day of over) if (!keeping.has(day)) await removeFolder(root, day, removed, signal);
  await syncDirectory(join(root, QUARANTINE_NAME));
  return removed;
}

/** Which of the old images stay, and in which order the others go. */
async function judge(
  repository: { id: string; rootPath: string },
  files: readonly Quarantined[],
  old: readonly Quarantined[],
  signal: AbortSignal,
): Promise<{ kept: string[]; order: string[] }> {
  const quarantined = await readQuarantined(repository.rootPath, files, signal);
  const reasons = new Map(old.map(({ path, reason }) => [path, reason]));
  const doomed = quarantined.filter(({ path }) => reasons.has(path));
  if (doomed.every(({ qcow2, below }) => !qcow2 && below.every(({ state }) => state === 'nothing')))
    return { kept: [], order: [] };
  const images = [...(await readAllImages(repository, signal)), ...quarantined];
  const whole = wholeImages(images);
  const live = new Set(images.filter((image) => !isQuarantined(image)).map(({ file }) => file));
  const isRestorable = ({ path, file, qcow2 }: ImageOnDisk) =>
    qcow2 && whole.has(path) && isOfNoCatalogue(reasons.get(path)) && !live.has(file);
  const going = doomed.filter((image) => !isRestorable(image));
  const held = heldImages(images, new Set(going.map(({ path }) => path)));
  const unclear = unclearDirectories(images, new Set(going.map(({ path }) => path)));
  const kept = doomed.filter(
    (image) => isRestorable(image) || held.has(image.path) || unclear.has(dirname(image.origin)),
  );
  return { kept: kept.map(({ path }) => path), order: topsFirst(going).map(({ path }) => path) };
}

/** Directories in which it is not known what an image that stays stands on: nothing of them goes. */
function unclearDirectories(images: readonly ImageOnDisk[], going: ReadonlySet<string>): Set<string> {
  const unclear = images.filter(({ path, below }) =>
    below.some(({ state }) => state === 'unknown' || (state === 'lost' && !going.has(path))),
  );
  return new Set(unclear.map(({ origin }) => dirname(origin)));
}

/** Images first, what stands on another before the other, then the rest; sidecars of what stays stay with it. */
function inOrder(
  old: readonly Quarantined[],
  kept: readonly string[],
  order: readonly string[],
): Quarantined[] {
  const staying = new Set(kept);
  const sidecars = new Set(old.filter(({ path }) => staying.has(path)).flatMap(sidecarKeys));
  const ranks = new Map(order.map((path, index) => [path, index]));
  const rank = ({ path }: Quarantined) => ranks.get(path) ?? ranks.size;
  return old
    .filter(({ path, origin, day }) => !staying.has(path) && !sidecars.has(`${day} ${origin}`))
    .sort((a, b) => rank(a) - rank(b));
}

/**
 * Of an image in quarantine. By the names that the files had: a second one of a name has a number at its end, and its image
 * perhaps none, or another.
 */
function sidecarKeys({ day, origin }: Quarantined): string[] {
  const { digests, manifest } = sidecarsOf(origin);
  return [digests, manifest].map((path) => `${day} ${path}`);
}

async function remove(root: string, paths: readonly string[], removed: Held): Promise<void> {
  for (const path of paths) {
    const stats = await lstat(join(root, path));
    await removeFiles([join(root, path)]);
    removed.files++;
    removed.bytes += storedBytes(stats);
  }
}

/** What is left of a day of which nothing stays: empty folders, and notes under shortened names. */
async function removeFolder(root: string, day: string, removed: Held, signal: AbortSignal): Promise<void> {
  const path = join(root, QUARANTINE_NAME, day);
  const rest = await count(path, signal);
  await rm(path, { recursive: true, force: true });
  removed.files += rest.files;
  removed.bytes += rest.bytes;
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
