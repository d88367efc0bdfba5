import type { BackupCreate, BackupDiskCreate } from '../../contract/index.js';
import type { EntityManager } from '../../db/database.js';
import { disksOf, type RegisteredDisk } from '../../db/vm/disks.js';
import type { PointNote } from '../../entities/index.js';
import { changesKnownBy, type DiskSource } from '../../shared/sources.js';
import { StrataError } from '../../shared/errors.js';
import { type BlockSet, createBlockSet } from '../../shared/blockSet.js';
import { checkListed } from './checkListed.js';
import type { AcceptDeps } from './deps.js';
import { upsertDisk } from './registerVm.js';

/** A disk to be backed up, request and registration put together. */
export interface ChosenDisk {
  diskId: number;
  chainId: string;
  source: DiskSource;
  virtualSize: number | null;
  changeId: string | null;
  sinceChangeId: string | null;
  /** The change list that came with the request. */
  extents: BlockSet | null;
  /** The change list is still to come. */
  extentsFollow: boolean;
}

/** The disks of a request, and what there is to say of these and others. */
export interface ChosenDisks {
  chosen: ChosenDisk[];
  /** How many disks of the VM the request leaves out. */
  missing: number;
  notes: PointNote[];
}

/** The disks of a request: those that it lists (new ones are registered on the way), or all of the VM. */
export async function chooseDisks(
  tx: EntityManager,
  deps: AcceptDeps,
  vmContextId: string,
  body: BackupCreate,
): Promise<ChosenDisks> {
  const listed = body.disks;
  if (listed) checkListed(deps, listed, body.backup_type);
  let rows = await disksOf(tx, vmContextId);
  const added = listed?.filter((disk) => !present(rows).some((row) => row.diskId === disk.disk_id)) ?? [];
  if (added.length > 0) {
    for (const disk of added) await registerListed(tx, deps, vmContextId, disk);
    rows = await disksOf(tx, vmContextId);
  }
  const wanted = listed ?? present(rows).map((row): BackupDiskCreate => ({ disk_id: row.diskId }));
  if (wanted.length === 0) {
    throw new StrataError(
      'invalid_request',
      `VM ${body.vm_name} has no registered disk; list the disks or register the VM.`,
      {
        field: 'disks',
      },
    );
  }
  const chosen = wanted.map((disk, index) => toChosen(disk, rows, index, listed !== undefined));
  if (body.backup_type !== 'full')
    wanted.forEach((disk, index) => checkSince(disk, chosen[index]?.source, `disks[${index}]`));
  const leftOut = present(rows).filter((row) => !isWanted(wanted, row));
  return { chosen, missing: leftOut.length, notes: notesOf(rows, wanted) };
}

function isWanted(wanted: readonly BackupDiskCreate[], { diskId }: RegisteredDisk): boolean {
  return wanted.some((disk) => disk.disk_id === diskId);
}

/** What has become of the VM's disks since its restore point before. */
function notesOf(rows: readonly RegisteredDisk[], wanted: readonly BackupDiskCreate[]): PointNote[] {
  return rows.flatMap((row): PointNote[] => {
    const note = (code: PointNote['code']) => [{ disk_id: row.diskId, code }];
    if (isWanted(wanted, row)) {
      return row.fresh && row.vmHasPoint ? note('disk_added') : [];
    }
    if (!row.retired) return note('disk_left_out');
    return row.newlyRetired ? note('disk_retired') : [];
  });
}

function present(rows: readonly RegisteredDisk[]): RegisteredDisk[] {
  return rows.filter((row) => !row.retired);
}

/** A disk that the VM does not have yet is registered; the source of a known one is not changed by a backup request. */
async function registerListed(
  tx: EntityManager,
  deps: AcceptDeps,
  vmContextId: string,
  disk: BackupDiskCreate,
): Promise<void> {
  await upsertDisk(tx, deps, vmContextId, {
    disk_id: disk.disk_id,
    ...(disk.source ? { source: disk.source } : {}),
  });
}

function toChosen(
  disk: BackupDiskCreate,
  rows: readonly RegisteredDisk[],
  index: number,
  listed: boolean,
): ChosenDisk {
  const row = rows.find((candidate) => candidate.diskId === disk.disk_id);
  if (!row) throw new StrataError('internal', `Disk ${disk.disk_id} was not registered.`);
  const field = listed ? `disks[${index}]` : 'disks';
  const extents = disk.changed_extents ? changeList(disk, `${field}.changed_extents`) : null;
  const source = disk.source ?? row.source;
  if (!source) {
    throw new StrataError(
      'invalid_request',
      `Disk ${disk.disk_id} has no registered source; the request must state it.${othersOf(disk.disk_id, rows)}`,
      {
        field: listed ? `${field}.source` : field,
      },
    );
  }
  return {
    diskId: disk.disk_id,
    chainId: row.chainId,
    source,
    virtualSize: source.type === 'push' ? pushedSize(disk, row, field) : (disk.virtual_size ?? null),
    changeId: disk.change_id ?? null,
    sinceChangeId: disk.since_change_id ?? null,
    extents,
    extentsFollow: disk.extents_follow === true,
  };
}

/** Without a list, a bitmap or an agent there is nothing that begins at a change id: the whole disk is compared. */
function checkSince(disk: BackupDiskCreate, source: DiskSource | undefined, field: string): void {
  if (disk.since_change_id === undefined || disk.changed_extents || disk.extents_follow) return;
  if (source && changesKnownBy(source) !== 'none') return;
  throw new StrataError(
    'invalid_request',
    'since_change_id goes with a change list or a dirty bitmap. Without either the whole disk is compared: leave it out.',
    { field: `${field}.since_change_id` },
  );
}

/** Whoever names a disk that there is not has mostly meant another one. */
function othersOf(diskId: number, rows: readonly RegisteredDisk[]): string {
  const others = present(rows).flatMap((row) => (row.diskId === diskId ? [] : [row.diskId]));
  if (others.length === 0) return '';
  return ` The VM has ${others.length === 1 ? 'disk' : 'disks'} ${others.join(', ')}.`;
}

/** Without a stated size only the worker knows the disk's end; negative and fractional numbers are refused here. */
function changeList({ changed_extents = [], virtual_size }: BackupDiskCreate, field: string): BlockSet {
  const list = createBlockSet(virtual_size);
  changed_extents.forEach((extent, index) => list.add(extent, `${field}[${index}]`));
  return list;
}

/** The size of a disk that nobody can look at; what has changed on it is what the agent will write. */
function pushedSize(disk: BackupDiskCreate, row: RegisteredDisk, field: string): number {
  if (disk.changed_extents || disk.extents_follow) {
    throw new StrataError(
      'invalid_request',
      'A pushed disk takes no change list: the agent writes the changes.',
      {
        field: `${field}.${disk.changed_extents ? 'changed_extents' : 'extents_follow'}`,
      },
    );
  }
  if (disk.virtual_size !== undefined) return disk.virtual_size;
  if (row.virtualSize !== null) return row.virtualSize;
  throw new StrataError(
    'invalid_request',
    `The size of the pushed disk ${disk.disk_id} must be stated once.`,
    {
      field: `${field}.virtual_size`,
    },
  );
}
