import { type BigIntStats, constants } from 'node:fs';
import { open, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ForeignFile } from '../../qcow2/index.js';
import { SYSFS_SECTOR, sysBlockOf } from '../../shared/blockDevice.js';
import { errnoOf } from '../../shared/errors.js';
import { sourceReadError } from '../../shared/sourceReadError.js';

/** What is another one after somebody has written to a file or block device, by name. */
export type SourceFacts = Readonly<Record<string, string>>;

/**
 * The facts of a file: which one it is, its length, and when it and its inode were changed. Of a block device: which one it is,
 * its length, and the bytes that were written or discarded since it came to be, partitions included. What a device's kernel
 * does not count (no /sys, iostats switched off, writes of another host to shared storage, writes to a partition by way of the
 * whole device) is not seen.
 * @throws source_io_error and the like, see sourceReadError
 */
export async function factsOf(file: ForeignFile): Promise<SourceFacts> {
  const stats = await stat(linkTo(file), { bigint: true }).catch((error: unknown) => {
    throw sourceReadError(error);
  });
  if (stats.isBlockDevice()) return deviceFacts(stats);
  return {
    file: `${stats.dev}:${stats.ino}`,
    size: `${stats.size}`,
    mtime: `${stats.mtimeNs}`,
    ctime: `${stats.ctimeNs}`,
  };
}

/** The names of the facts that differ. */
export function differingFacts(before: SourceFacts, after: SourceFacts): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => before[name] !== after[name]);
}

async function deviceFacts({ dev, ino, rdev }: BigIntStats): Promise<SourceFacts> {
  const sys = sysBlockOf(rdev);
  const [size, seq, counters] = await Promise.all([
    readIfThere(join(sys, 'size')),
    readIfThere(join(sys, 'diskseq')),
    readIfThere(join(sys, 'stat')),
  ]);
  return {
    file: `${dev}:${ino}`,
    device: `${rdev}`,
    ...(size === undefined ? {} : { size: `${Number(size) * SYSFS_SECTOR}` }),
    // Another disk behind the same name (Linux 5.15).
    ...(seq === undefined ? {} : { 'disk sequence number': seq }),
    ...(counters === undefined ? {} : writtenOf(counters)),
  };
}

/** Columns of /sys/block/*\/stat (Linux, Documentation/block/stat.rst). */
const WRITE_SECTORS = 6;
const DISCARD_SECTORS = 13;

function writtenOf(counters: string): SourceFacts {
  const columns = counters.split(/\s+/);
  const bytes = (column: number) => `${Number(columns[column] ?? 0) * SYSFS_SECTOR}`;
  return { 'bytes written': bytes(WRITE_SECTORS), 'bytes discarded': bytes(DISCARD_SECTORS) };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/**
 * Brings to a block device what was written to it, to the disk that it is a partition of, or to its partitions, and lies in
 * one of their page caches: direct I/O sees the disk alone. What a mounted file system still holds back is its owner's to
 * flush (fsfreeze). Of a file there is nothing to do: it has one page cache.
 * @throws source_io_error where the device does not take it
 */
export async function flushCaches(file: ForeignFile): Promise<void> {
  const own = linkTo(file);
  const stats = await stat(own, { bigint: true });
  if (!stats.isBlockDevice()) return;
  await Promise.all([own, ...(await relatives(sysBlockOf(stats.rdev)))].map(flush));
}

/** The file itself, whatever has come to its path. */
function linkTo({ fd }: ForeignFile): string {
  return `/proc/self/fd/${fd}`;
}

/** Device nodes of the disk of a partition, and of the partitions of a disk. */
async function relatives(sys: string): Promise<string[]> {
  const own = await realpath(sys).catch(() => undefined);
  if (own === undefined) return [];
  if ((await readIfThere(join(own, 'partition'))) !== undefined) return nodesOf([join(own, '..')]);
  const children = await readdir(own, { withFileTypes: true });
  const parts = children.filter((child) => child.isDirectory()).map(({ name }) => join(own, name));
  const isPartition = await Promise.all(parts.map(async (part) => readIfThere(join(part, 'partition'))));
  return nodesOf(parts.filter((_, index) => isPartition[index] !== undefined));
}

async function nodesOf(directories: string[]): Promise<string[]> {
  const events = await Promise.all(directories.map(async (each) => readIfThere(join(each, 'uevent'))));
  return events.flatMap((text) => {
    const name = /^DEVNAME=(.+)$/m.exec(text ?? '')?.[1];
    return name === undefined ? [] : [`/dev/${name}`];
  });
}

async function flush(path: string): Promise<void> {
  try {
    const device = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      await device.sync();
    } finally {
      await device.close();
    }
  } catch (error) {
    // A container need not have the nodes of all partitions.
    if (['ENOENT', 'EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) return;
    throw sourceReadError(error);
  }
}
