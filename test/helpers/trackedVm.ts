import type { BackupAccepted, BackupCreate, BackupDiskCreate } from '../../src/contract/index.js';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RequestedType } from '../../src/entities/index.js';
import { acceptBackup } from '../../src/producers/accept/index.js';
import type { Extent } from '../../src/shared/extents.js';
import { makeDisk, writeAt } from './disks.js';
import type { TestFleet } from './fleet.js';
import type { SavedPoint } from './inOrder/index.js';

/** What was accepted, in order, and what each backup must read back as: the two lists that expectInOrder wants. */
export interface Ledger {
  accepted: string[];
  points: SavedPoint[];
}

/** How a disk is backed up: `changes` names the changed extents, `compare` and `differential` let the disk be compared. */
export type Way = 'auto' | 'full' | 'changes' | 'compare' | 'differential';

/** A VM of one raw disk that remembers what was changed, and keeps a copy of it for every backup. */
export interface TrackedVm {
  name: string;
  /** Absolute path of the disk. Do not change it while a backup of it is open. */
  disk: string;
  /** Writes random data; beyond the end the disk grows. */
  change(offset: number, length: number): Promise<void>;
  /** Accepts a backup, by default of the file itself, and notes it in the ledger with a copy of the disk as it is. */
  accept(way: Way, options?: AcceptOptions): Promise<string>;
}

export interface AcceptOptions {
  source?: BackupDiskCreate['source'];
  repository?: string;
  /** How the request gets to the fleet; by default it is accepted in this process. */
  by?: (body: BackupCreate) => Promise<BackupAccepted>;
}

const TYPES: Record<Way, RequestedType> = {
  auto: 'auto',
  full: 'full',
  changes: 'incremental',
  compare: 'incremental',
  differential: 'differential',
};

/** @param pieces random data at these `[offset, length]` places, in bytes */
export async function createTrackedVm(
  fleet: TestFleet,
  ledger: Ledger,
  options: { name: string; sizeBytes: number; pieces: readonly (readonly [number, number])[] },
): Promise<TrackedVm> {
  const { name, sizeBytes, pieces } = options;
  const disk = join(fleet.sources, `${name}.raw`);
  await makeDisk(disk, sizeBytes, pieces);
  let touched: Extent[] = [];
  let changeId: string | undefined;
  return {
    name,
    disk,
    change: async (offset, length) => {
      await writeAt(disk, offset, length);
      touched.push({ offset, length });
    },
    accept: async (way, options = {}) => {
      const { source, repository = 'main', by = (body) => acceptBackup(fleet.accept, body) } = options;
      const next = `${name}-${ledger.accepted.length}`;
      const body: BackupDiskCreate = {
        disk_id: 0,
        source: source ?? { type: 'file', path: disk, format: 'raw' },
        change_id: next,
      };
      if (way === 'changes') {
        if (changeId !== undefined) body.since_change_id = changeId;
        body.changed_extents = touched.length > 0 ? touched : [{ offset: 0, length: 512 }];
      }
      const answer = await by({
        vm_name: name,
        repository_id: repository,
        backup_type: TYPES[way],
        disks: [body],
      });
      const id = answer.disk_results[0]?.backup_id ?? '';
      const saved = join(fleet.suite.tempDir, `${id}.saved`);
      await copyFile(disk, saved);
      ledger.accepted.push(id);
      ledger.points.push({ id, saved });
      touched = [];
      changeId = next;
      return id;
    },
  };
}
