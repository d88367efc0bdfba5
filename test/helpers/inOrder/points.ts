import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BackupJob, Repository } from '../../../src/entities/index.js';
import {
  chainInfo,
  checkImage,
  compareImages,
  imageInfo,
  type ImageFormat,
} from '../../../src/qcow2/index.js';
import { readManifest } from '../../../src/services/repository/manifest.js';
import { sidecarsOf } from '../../../src/services/repository/layout.js';
import type { TestFleet } from '../fleet.js';

/** A backup and what its disk held at that instant. */
export interface SavedPoint {
  id: string;
  /** Absolute path of a copy of the disk. */
  saved: string;
  /** Default `raw`. */
  format?: ImageFormat;
}

/** Completed backups that do not read back as their saved copies, or whose files are not as the catalogue says. */
export async function pointProblems(fleet: TestFleet, points: readonly SavedPoint[]): Promise<string[]> {
  const { ds } = fleet.suite;
  const roots = new Map(
    (await ds.getRepository(Repository).find()).map(({ id, rootPath }) => [id, rootPath]),
  );
  const backups = await ds.getRepository(BackupJob).findBy({ status: 'completed' });
  const byId = new Map(backups.map((backup) => [backup.id, backup]));
  const problems: string[] = [];
  const check = async (backup: BackupJob) => {
    const say = (problem: string) => problems.push(`${backup.id} (${backup.repositoryPath}): ${problem}`);
    const image = join(roots.get(backup.repositoryId) ?? '', backup.repositoryPath ?? '');
    const point = points.find(({ id }) => id === backup.id);
    if (!point) say('has completed, and no copy of its disk was saved');
    const [size] = await Promise.all([
      checkFiles(image, backup, byId, say),
      point ? compareContent(image, point, say) : undefined,
    ]);
    if (point) await compareSize(size, point, say);
  };
  // Two at a time: a tool waits for the disk and for its own start.
  const queue = [...backups];
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) await check(next);
  };
  await Promise.all([work(), work()]);
  return problems;
}

/**
 * Clean by `qemu-img check`, on the files that the catalogue says, and with a manifest that says the same.
 * @returns the size of the disk, in bytes
 */
async function checkFiles(
  image: string,
  backup: BackupJob,
  byId: ReadonlyMap<string, BackupJob>,
  say: (problem: string) => void,
): Promise<number | undefined> {
  const [check, [top, ...found]] = await Promise.all([checkImage(image), chainInfo(image)]);
  if (!check.clean) say(`qemu-img check: ${JSON.stringify(check)}`);
  const wanted: string[] = [];
  for (let below = backup.parentBackupId; below !== null; ) {
    const layer = byId.get(below);
    wanted.push(basename(layer?.repositoryPath ?? 'nothing'));
    below = layer?.parentBackupId ?? null;
  }
  const names = found.map(({ filename }) => basename(filename));
  if (names.join() !== wanted.join()) say(`stands on ${names.join()}, the catalogue says ${wanted.join()}`);
  const away = found.find(({ filename }) => dirname(filename) !== dirname(image));
  if (away) say(`stands on ${away.filename}, in another directory`);
  const manifest = await readManifest(sidecarsOf(image).manifest);
  // A crash between the link and the commit is finished under a later fence: the row then has that one.
  const same =
    manifest?.backup_id === backup.id &&
    manifest.seq === backup.seq &&
    manifest.content_id === backup.contentId &&
    manifest.fence <= (backup.fence ?? 0);
  if (!same) say(`its manifest says ${JSON.stringify(manifest)}`);
  return top?.virtualSizeBytes;
}

/** qemu-img's own strict mode compares how clusters are allocated too: here it is content, and then the size. */
async function compareContent(
  image: string,
  point: SavedPoint,
  say: (problem: string) => void,
): Promise<void> {
  const { identical, message } = await compareImages(
    { type: 'file', path: image, format: 'qcow2' },
    { type: 'file', path: point.saved, format: point.format ?? 'raw' },
  );
  if (!identical) say(`differs from ${point.saved}: ${message}`);
}

async function compareSize(
  size: number | undefined,
  { saved, format = 'raw' }: SavedPoint,
  say: (problem: string) => void,
): Promise<void> {
  const savedSize =
    format === 'raw'
      ? (await stat(saved)).size
      : (await imageInfo({ type: 'file', path: saved, format })).virtualSizeBytes;
  if (size !== savedSize) say(`has ${size} bytes, its saved copy ${savedSize}`);
}
