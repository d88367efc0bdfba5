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
  for (const backup of backups) {
    const point = points.find(({ id }) => id === backup.id);
    const root = roots.get(backup.repositoryId) ?? '';
    const say = (problem: string) => problems.push(`${backup.id} (${backup.repositoryPath}): ${problem}`);
    await checkFiles(root, backup, byId, say);
    if (point) await comparePoint(join(root, backup.repositoryPath ?? ''), point, say);
    else say('has completed, and no copy of its disk was saved');
  }
  return problems;
}

/** Clean by `qemu-img check`, on the files that the catalogue says, and with a manifest that says the same. */
async function checkFiles(
  root: string,
  backup: BackupJob,
  byId: ReadonlyMap<string, BackupJob>,
  say: (problem: string) => void,
): Promise<void> {
  const files = sidecarsOf(backup.repositoryPath ?? '');
  const image = join(root, files.image);
  const check = await checkImage(image);
  if (!check.clean) say(`qemu-img check: ${JSON.stringify(check)}`);
  const wanted: string[] = [];
  for (let below = backup.parentBackupId; below !== null; ) {
    const layer = byId.get(below);
    wanted.push(basename(layer?.repositoryPath ?? 'nothing'));
    below = layer?.parentBackupId ?? null;
  }
  const [, ...found] = await chainInfo(image);
  const names = found.map(({ filename }) => basename(filename));
  if (names.join() !== wanted.join()) say(`stands on ${names.join()}, the catalogue says ${wanted.join()}`);
  const away = found.find(({ filename }) => dirname(filename) !== dirname(image));
  if (away) say(`stands on ${away.filename}, in another directory`);
  const manifest = await readManifest(join(root, files.manifest));
  const same =
    manifest?.backup_id === backup.id &&
    manifest.seq === backup.seq &&
    manifest.fence === backup.fence &&
    manifest.content_id === backup.contentId;
  // A crash between the link and the commit is finished by a later fence: the row then has that one.
  if (!same && !(manifest?.backup_id === backup.id && manifest.fence < (backup.fence ?? 0))) {
    say(`its manifest says ${JSON.stringify(manifest)}`);
  }
}

/** qemu-img's own strict mode compares how clusters are allocated too: here it is content and size. */
async function comparePoint(image: string, point: SavedPoint, say: (problem: string) => void): Promise<void> {
  const saved = { type: 'file', path: point.saved, format: point.format ?? 'raw' } as const;
  const backup = { type: 'file', path: image, format: 'qcow2' } as const;
  const [{ identical, message }, size, savedSize] = [
    await compareImages(backup, saved),
    await imageInfo(backup),
    await imageInfo(saved),
  ];
  if (!identical) say(`differs from ${point.saved}: ${message}`);
  if (size.virtualSizeBytes !== savedSize.virtualSizeBytes) {
    say(`has ${size.virtualSizeBytes} bytes, its saved copy ${savedSize.virtualSizeBytes}`);
  }
}
