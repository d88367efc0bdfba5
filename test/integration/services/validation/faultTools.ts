import { open, rename, stat, utimes } from 'node:fs/promises';
import type { ChainFixture, FixtureBackup } from '../../../helpers/chainFixture.js';
import { overwrite } from '../../../helpers/disks.js';
import { runTool } from '../../../helpers/runTool.js';

/** Where qemu-img create puts the metadata of a small image with clusters of 64 KiB. */
export const REFCOUNT_TABLE_AT = 0x10000;
export const L1_TABLE_AT = 0x30000;
export const L2_TABLE_AT = 0x40000;

export interface Fault {
  title: string;
  inflict(chain: ChainFixture, at: (number: number) => FixtureBackup): Promise<void>;
  codes: string[];
  backups: string;
  chain: string;
}

/** One byte becomes another; the file's time is put back, as a disk that rots does not tell. */
export async function flip(path: string, offset: number, mask = 0xff): Promise<void> {
  const byte = Buffer.alloc(1);
  const file = await open(path, 'r');
  try {
    await file.read(byte, 0, 1, offset);
  } finally {
    await file.close();
  }
  await overwriteBytes(path, offset, Buffer.of((byte[0] ?? 0) ^ mask));
}

/** Bytes become others; the file's time is put back. */
export async function overwriteBytes(path: string, offset: number, bytes: Buffer): Promise<void> {
  const { atime, mtime } = await stat(path);
  await overwrite(path, offset, bytes);
  await utimes(path, atime, mtime);
}

export async function swap(a: string, b: string): Promise<void> {
  await rename(a, `${a}.swap`);
  await rename(b, a);
  await rename(`${a}.swap`, b);
}

export const rebase = (image: string, ...options: string[]) =>
  runTool('qemu-img', 'rebase', '-u', '-f', 'qcow2', ...options, image);

/** Turns the header extension "backing format" (0xe2792aca) into one that QEMU does not know, and skips. */
export async function forgetBackingFormat(image: string): Promise<void> {
  const file = await open(image, 'r');
  const head = Buffer.alloc(4096);
  try {
    await file.read(head, 0, head.length, 0);
  } finally {
    await file.close();
  }
  await flip(image, head.indexOf(Buffer.from('e2792aca', 'hex')) + 3, 0x01);
}

export async function writeRefcount(image: string, cluster: number): Promise<void> {
  const file = await open(image, 'r+');
  try {
    await file.write(Buffer.from([0, 1]), 0, 2, 0x20000 + cluster * 2);
    await file.write(Buffer.alloc(65536), 0, 65536, cluster * 65536);
  } finally {
    await file.close();
  }
}
