import type { BackupDiskCreate, Vm } from '../client/index.js';
import { StrataError } from '../shared/errors.js';
import { parseDiskId, parseDiskSource, parseSource } from './diskSpec.js';
import type { ExtentFile } from './extentFile.js';
import { refuseIdle } from './idleOptions.js';

/** What the command line says of disks. */
export interface BackupFlags {
  disk?: string[];
  source?: string[];
  format?: string;
  bitmap?: string;
  forceShare?: true;
  changeId?: string;
  sinceChangeId?: string;
  changedExtents?: string;
}

/** The disks that the VM is registered with. */
export type RegisteredDisks = readonly Pick<Vm['disks'][number], 'disk_id' | 'source'>[];

/**
 * The disks of a request: those of `--disk` and of `--source`, each once, in the order of their ids; none for "all of the
 * VM". A change list belongs to one disk. A bitmap belongs to the disks that are named: to their sources, those of `--source`
 * and the registered ones.
 * @throws invalid_request for a disk that is named twice, for change facts without one disk that they belong to, and for
 *   an option that would do nothing
 */
export function diskRequests(
  flags: BackupFlags,
  list: ExtentFile | undefined,
  registered: RegisteredDisks = [],
): BackupDiskCreate[] {
  const disks = new Map<number, BackupDiskCreate>();
  for (const text of flags.disk ?? []) addOnce(disks, { disk_id: parseDiskId(text) }, 'disk');
  const only = disks.size === 1 ? [...disks.keys()][0] : undefined;
  const sources = new Set<number>();
  for (const text of flags.source ?? []) {
    const parsed = parseDiskSource(text);
    // `--disk 3 --source X` means disk 3; without any id it is disk 0.
    const diskId = parsed.source === text && only !== undefined ? only : parsed.diskId;
    if (sources.has(diskId)) throw invalid('source', `Disk ${diskId} has two sources.`);
    sources.add(diskId);
    const source = parseSource(parsed.source, flags);
    disks.set(diskId, { disk_id: diskId, source });
  }
  if (sources.size === 0) {
    refuseIdle(flags.format, '--format', 'it is that of --source');
    refuseIdle(
      flags.forceShare,
      '--force-share',
      'it is that of --source; of a registered disk it is registered',
    );
  }
  addBitmap(disks, flags.bitmap, registered);
  addChanges(disks, flags, list);
  return [...disks.values()].sort((a, b) => a.disk_id - b.disk_id);
}

function addOnce(disks: Map<number, BackupDiskCreate>, disk: BackupDiskCreate, field: string): void {
  if (disks.has(disk.disk_id)) throw invalid(field, `Disk ${disk.disk_id} is named twice.`);
  disks.set(disk.disk_id, disk);
}

/** The bitmap in the registered sources of the disks that were named without one. */
function addBitmap(
  disks: Map<number, BackupDiskCreate>,
  bitmap: string | undefined,
  registered: RegisteredDisks,
): void {
  if (bitmap === undefined) return;
  if (disks.size === 0)
    throw invalid('--bitmap', 'A dirty bitmap belongs to disks: name them with --disk, or give --source.');
  for (const [diskId, disk] of disks) {
    if (disk.source) continue;
    const source = registered.find(({ disk_id }) => disk_id === diskId)?.source;
    if (source?.type !== 'nbd')
      throw invalid(
        '--bitmap',
        `Only an NBD source has a dirty bitmap, and disk ${diskId} is not registered with one.`,
      );
    disks.set(diskId, { ...disk, source: { ...source, bitmap } });
  }
}

function addChanges(
  disks: Map<number, BackupDiskCreate>,
  flags: BackupFlags,
  list: ExtentFile | undefined,
): void {
  const facts = {
    ...(flags.changeId === undefined ? {} : { change_id: flags.changeId }),
    ...(flags.sinceChangeId === undefined ? {} : { since_change_id: flags.sinceChangeId }),
    ...(list === undefined
      ? {}
      : 'extents' in list
        ? { changed_extents: list.extents }
        : { extents_follow: true }),
  };
  if (Object.keys(facts).length === 0) return;
  const [disk, another] = disks.values();
  if (!disk || another)
    throw invalid('disk', 'Change ids and change lists belong to one disk: name it with --disk.');
  disks.set(disk.disk_id, { ...disk, ...facts });
}

function invalid(field: string, message: string): StrataError {
  return new StrataError('invalid_request', message, { field });
}
