import type { BigIntStats } from 'node:fs';
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { errnoOf } from '../../shared/errors.js';
import { deviceNumber } from './deviceNumber.js';

/** What sysfs says of a block device (sysfs-block in the kernel's documentation). */
export interface BlockNode {
  /** Such as `sda1`. */
  name: string;
  /** The device that it is a partition of. */
  whole?: string;
  /** Its partitions. */
  partitions: string[];
  /** Devices that are made of it: dm (LVM, LUKS, multipath), md, bcache. */
  holders: string[];
  /** Of a loop device: the file or device behind it. */
  backing?: string;
}

const BY_NUMBER = '/sys/dev/block';
/** What says that something certainly is not there, or not any more. */
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ENODEV', 'EINVAL', 'ENXIO']);

/** Devices by their numbers (`8:1`). @returns undefined where sysfs does not know the device, or is not mounted */
export async function blockNode(number: string): Promise<BlockNode | undefined> {
  const target = await unlessAbsent(readlink(join(BY_NUMBER, number)));
  if (target === undefined) return undefined;
  // The real one: a partition lies in the directory of its disk.
  const directory = resolve(BY_NUMBER, target);
  const isPartition = (await textOf(join(directory, 'partition'))) !== undefined;
  const whole = isPartition ? await textOf(join(directory, '..', 'dev')) : undefined;
  const backing = await textOf(join(directory, 'loop', 'backing_file'));
  return {
    name: basename(directory),
    ...(whole === undefined ? {} : { whole }),
    partitions: await partitionsIn(directory),
    holders: await numbersIn(join(directory, 'holders')),
    ...(backing === undefined ? {} : { backing }),
  };
}

/** The loop devices that are in use, and what is behind each. */
export async function loopDevices(): Promise<{ number: string; name: string; backing: string }[]> {
  const found = [];
  for (const name of (await unlessAbsent(readdir('/sys/block'))) ?? []) {
    if (!name.startsWith('loop')) continue;
    const backing = await textOf(join('/sys/block', name, 'loop', 'backing_file'));
    const number = backing === undefined ? undefined : await textOf(join('/sys/block', name, 'dev'));
    if (backing !== undefined && number !== undefined) found.push({ number, name, backing });
  }
  return found;
}

/** What a path leads to; undefined where there is nothing. */
export async function statIfAny(path: string): Promise<BigIntStats | undefined> {
  return unlessAbsent(stat(path, { bigint: true }));
}

/** The number of the block device that a path leads to; undefined for anything else. */
export async function blockNumberOf(path: string): Promise<string | undefined> {
  const found = await statIfAny(path);
  return found?.isBlockDevice() === true ? deviceNumber(found.rdev) : undefined;
}

async function partitionsIn(directory: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of (await unlessAbsent(readdir(directory))) ?? []) {
    if ((await textOf(join(directory, name, 'partition'))) === undefined) continue;
    const number = await textOf(join(directory, name, 'dev'));
    if (number !== undefined) found.push(number);
  }
  return found;
}

async function numbersIn(directory: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of (await unlessAbsent(readdir(directory))) ?? []) {
    const number = await textOf(join(directory, name, 'dev'));
    if (number !== undefined) found.push(number);
  }
  return found;
}

async function textOf(path: string): Promise<string | undefined> {
  return (await unlessAbsent(readFile(path, 'utf8')))?.replace(/\n$/, '');
}

async function unlessAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (ABSENT.has(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}
