import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createPolicy } from '../src/db/policy/policies.js';
import { BackupJob, type KeepColumn, MaintenanceJob } from '../src/entities/index.js';
import { acceptValidation } from '../src/producers/accept/index.js';
import { retain } from '../src/producers/keeper/retention.js';
import { BLOCK_SIZE } from '../src/shared/extents.js';
import { systemClock } from '../src/shared/clock.js';
import { type Bed, completed, openBed, type Vm } from './bed.js';
import { changeSet, makeReferenceDisk, overwrite } from './disks.js';

export interface SpaceOptions {
  /** Bytes of the disk, all of them random data. */
  diskBytes: number;
  days: number;
  /** Blocks of 64 KiB that change from day to day, in percent. */
  percent: number;
}

/** What the files take, in bytes, at the end. */
export interface SpaceFigures {
  options: SpaceOptions;
  keep: KeepColumn;
  /** Days that are kept, the first one being 1. */
  kept: number[];
  /** Images, digest indexes and manifests, as the file system counts them. */
  taken: number;
  /** The most that they took after a day's backup and before its retention. */
  peak: number;
  /** The oldest kept point whole, and of each further one the blocks that differ from the one before. */
  needed: number;
  /** Each kept point whole. */
  whole: number;
  /** One full and an increment for each further day: nothing removed. */
  everything: number;
  merges: Record<string, number>;
  /** A deep validation has compared every block of every kept point with its digest. */
  healthy: boolean;
  seconds: number;
}

export const KEEP: KeepColumn = { daily: 7, weekly: 4, monthly: 6 };

/** A backup a day, and after each what the policy does not keep is removed. */
export async function runSpace(
  options: SpaceOptions,
  say: (line: string) => void = () => undefined,
): Promise<SpaceFigures> {
  const bed = await openBed();
  const began = performance.now();
  try {
    const days = await liveThrough(bed, options, say);
    const kept = await keptDays(bed, days.ids);
    return {
      options,
      keep: KEEP,
      kept,
      taken: await bytesBelow(bed.fleet.repositoryRoot),
      peak: days.peak,
      needed: neededFor(kept, days.changed, options.diskBytes),
      whole: kept.length * options.diskBytes,
      everything:
        options.diskBytes + days.changed.slice(1).reduce((sum, { size }) => sum + size * BLOCK_SIZE, 0),
      merges: await strategies(bed),
      healthy: await isHealthy(bed),
      seconds: (performance.now() - began) / 1000,
    };
  } finally {
    await bed.close();
  }
}

/** The last day is today: weeks and months pass as on a calendar. */
const DATE_OF_POINT = `UPDATE restore_points SET created_at = created_at - INTERVAL ? DAY
  WHERE id = (SELECT restore_point_id FROM backup_jobs WHERE id = ?)`;

interface Days {
  /** Backup of each day. */
  ids: string[];
  /** Blocks that each day has changed; none on the first. */
  changed: ReadonlySet<number>[];
  peak: number;
}

async function liveThrough(bed: Bed, options: SpaceOptions, say: (line: string) => void): Promise<Days> {
  const { diskBytes, percent } = options;
  const { ds } = bed.fleet.suite;
  const disk = join(bed.fleet.sources, 'daily.raw');
  await makeReferenceDisk(disk, { virtualBytes: diskBytes, dataBytes: diskBytes, pieceBytes: BLOCK_SIZE });
  const vm: Vm = { name: 'daily', disk, changeId: 0 };
  const days: Days = { ids: [], changed: [], peak: 0 };
  for (let day = 1; day <= options.days; day++) {
    const count = day === 1 ? 0 : Math.round((diskBytes / BLOCK_SIZE / 100) * percent);
    const changes = changeSet(diskBytes, count, day);
    await overwrite(disk, changes);
    const { id, vmContextId } = await bed.backup(vm, day === 1 ? 'full' : changes);
    await ds.query(DATE_OF_POINT, [options.days - day, id]);
    if (day === 1) await createPolicy(ds, policy(), [vmContextId], systemClock.now());
    days.ids.push(id);
    days.changed.push(new Set(changes.map(({ offset }) => offset / BLOCK_SIZE)));
    days.peak = Math.max(days.peak, await bytesBelow(bed.fleet.repositoryRoot));
    await retain(bed.fleet.accept, 0);
    for (const job of await openJobs(bed)) await completed(bed.fleet, job);
    say(`day ${day} of ${options.days}`);
  }
  return days;
}

function policy() {
  return {
    name: 'daily',
    enabled: true,
    schedule: null,
    timeZone: 'UTC',
    jitterSeconds: 0,
    backupType: 'auto' as const,
    fullEvery: null,
    fullAfterDays: null,
    keep: KEEP,
    verify: null,
    nextRunAt: null,
  };
}

async function openJobs({ fleet }: Bed): Promise<string[]> {
  const rows = await fleet.suite.ds.query<{ id: string }[]>(
    "SELECT id FROM maintenance_jobs WHERE status IN ('queued', 'released', 'running')",
  );
  return rows.map(({ id }) => id);
}

async function keptDays({ fleet }: Bed, ids: readonly string[]): Promise<number[]> {
  const rows = await fleet.suite.ds.getRepository(BackupJob).find({ where: { status: 'completed' } });
  return rows.map(({ id }) => ids.indexOf(id) + 1).sort((a, b) => a - b);
}

/** @param kept days, from 1 @param changed by day */
export function neededFor(
  kept: readonly number[],
  changed: readonly ReadonlySet<number>[],
  diskBytes: number,
): number {
  let bytes = kept.length === 0 ? 0 : diskBytes;
  for (const [n, day] of kept.entries()) {
    const before = kept[n - 1];
    if (before === undefined) continue;
    const since = new Set(changed.slice(before, day).flatMap((blocks) => [...blocks]));
    bytes += since.size * BLOCK_SIZE;
  }
  return bytes;
}

async function strategies({ fleet }: Bed): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { result } of await fleet.suite.ds.getRepository(MaintenanceJob).find()) {
    for (const { strategy } of (result?.['steps'] ?? []) as { strategy?: string }[])
      if (strategy !== undefined) counts[strategy] = (counts[strategy] ?? 0) + 1;
  }
  return counts;
}

async function isHealthy({ fleet }: Bed): Promise<boolean> {
  const [chain] = await fleet.suite.ds.query<{ id: string }[]>('SELECT id FROM backup_chains');
  const { job_id } = await acceptValidation(fleet.accept, { chainId: chain?.id ?? '', level: 'deep' });
  await completed(fleet, job_id);
  const job = await fleet.suite.ds.getRepository(MaintenanceJob).findOneByOrFail({ id: job_id });
  return job.result?.['healthy'] === true;
}

async function bytesBelow(root: string): Promise<number> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => (await lstat(join(entry.parentPath, entry.name))).blocks * 512);
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
}
