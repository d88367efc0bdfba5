import type { BackupCreate, BackupDiskCreate } from '../../src/contract/index.js';
import { copyFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob, Repository, type RequestedType, RestorePoint } from '../../src/entities/index.js';
import { acceptBackup } from '../../src/producers/accept/index.js';
import { compareImages, imageInfo } from '../../src/qcow2/index.js';
import { makeDisk } from './disks.js';
import type { TestFleet } from './fleet.js';

/** A backup of a VM whose jobs have ended, however. */
export interface EndedPoint {
  point: RestorePoint;
  /** By disk id. */
  backups: Record<number, BackupJob>;
}

/** A VM of several raw disks; of every backup it keeps a copy of what the disk held. */
export interface VmOfDisks {
  name: string;
  /** Absolute path of a disk. Change it only while no backup of it is open. */
  path(diskId: number): string;
  source(diskId: number): { type: 'file'; path: string; format: 'raw' };
  /** Accepts a backup of these disks, by default all and from their files, waits for all of them and saves their copies. */
  backUp(
    type: RequestedType,
    disks?: readonly BackupDiskCreate[],
    more?: Partial<BackupCreate>,
  ): Promise<EndedPoint>;
}

/** Makes disks of random data at their beginning and of zeros behind it. */
export async function createVmOfDisks(
  fleet: TestFleet,
  options: { name: string; ids: readonly number[]; sizeBytes: number },
): Promise<VmOfDisks> {
  const { name, ids, sizeBytes } = options;
  const path = (id: number) => join(fleet.sources, `${name}-${id}.raw`);
  const source = (id: number) => ({ type: 'file' as const, path: path(id), format: 'raw' as const });
  for (const id of ids) await makeDisk(path(id), sizeBytes, [[id * 4096, 300_000]]);
  return {
    name,
    path,
    source,
    backUp: async (type, disks = ids.map((disk_id) => ({ disk_id })), more = {}) => {
      const { restore_point_id, disk_results } = await acceptBackup(fleet.accept, {
        vm_name: name,
        repository_id: 'main',
        backup_type: type,
        disks: disks.map((disk) => ({ source: source(disk.disk_id), ...disk })),
        ...more,
      });
      const ended = await endedPoint(
        fleet,
        restore_point_id,
        disk_results.map(({ backup_id }) => backup_id),
      );
      for (const { id, diskId } of Object.values(ended.backups)) await save(fleet, id, path(diskId));
      return ended;
    },
  };
}

/** Waits for the backups of a restore point. */
export async function endedPoint(
  fleet: TestFleet,
  restorePointId: string,
  backupIds: readonly string[],
): Promise<EndedPoint> {
  const { ds } = fleet.suite;
  const backups: Record<number, BackupJob> = {};
  for (const id of backupIds) {
    await fleet.ended(id);
    const backup = await ds.getRepository(BackupJob).findOneByOrFail({ id });
    backups[backup.diskId] = backup;
  }
  return { point: await ds.getRepository(RestorePoint).findOneByOrFail({ id: restorePointId }), backups };
}

/** How a backup ended and what it became: `incremental`, `full disk_shrunk`, `failed nbd_io_error`. */
export function told({ status, errorCode, backupType, demotedReason }: BackupJob): string {
  const words = status === 'completed' ? [backupType, demotedReason] : [status, errorCode];
  return words.filter(Boolean).join(' ');
}

/** `told`, by disk id. */
export function toldOf({ backups }: EndedPoint): Record<string, string> {
  return Object.fromEntries(Object.values(backups).map((backup) => [backup.diskId, told(backup)]));
}

/** Where the copy lies that a backup must read back as. */
export const savedPath = (fleet: TestFleet, backupId: string) =>
  join(fleet.suite.tempDir, `${backupId}.saved`);

/** Keeps a copy of what a backup must read back as. */
export async function save(fleet: TestFleet, backupId: string, disk: string): Promise<void> {
  await copyFile(disk, savedPath(fleet, backupId));
}

/** Absolute path of a backup's image. */
export async function imageOf(
  fleet: TestFleet,
  { repositoryId, repositoryPath }: BackupJob,
): Promise<string> {
  const { rootPath } = await fleet.suite.ds.getRepository(Repository).findOneByOrFail({ id: repositoryId });
  return join(rootPath, repositoryPath ?? '');
}

/** Whether a backup reads back, by plain qemu-img through its backing files, as the copy that was saved of its disk. */
export async function readsBack(
  fleet: TestFleet,
  backup: BackupJob,
): Promise<{ same: boolean; what: string }> {
  const saved = savedPath(fleet, backup.id);
  const image = { type: 'file' as const, path: await imageOf(fleet, backup), format: 'qcow2' as const };
  const { identical, message } = await compareImages(image, { type: 'file', path: saved, format: 'raw' });
  const [{ virtualSizeBytes }, { size }] = await Promise.all([imageInfo(image), stat(saved)]);
  const what = `disk ${backup.diskId}, ${backup.id}: ${message}; ${virtualSizeBytes} and ${size} bytes`;
  return { same: identical && virtualSizeBytes === size, what };
}

/** Demands that backups have completed, and read back as their disks were. */
export async function expectSame(fleet: TestFleet, backups: Iterable<BackupJob | undefined>): Promise<void> {
  for (const backup of backups) {
    if (backup?.status !== 'completed') throw new Error(`Not completed: ${backup && told(backup)}`);
    const { same, what } = await readsBack(fleet, backup);
    expect(same, what).to.equal(true);
  }
}
