import type { BigIntStats } from 'node:fs';
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { errnoOf } from '../../shared/errors.js';
import { blockNode, blockNumberOf, loopDevices } from './blockNode.js';
import { deviceNumber } from './deviceNumber.js';

/**
 * Who uses a block device in a way that a restore over it would harm, as far as this process can see: a mount, swap, a
 * device that is made of it, a process that has it open for writing. Its partitions count, and the disk that it is a
 * partition of, and other loop devices over the same file.
 * @param number such as `8:1`
 * @returns the end of a sentence such as "The device ... is mounted at /srv."; undefined where nobody is seen
 */
export async function findUse(number: string): Promise<string | undefined> {
  const all = await relatives(number);
  return (
    (await mountOf(all)) ??
    (await swapOf(all)) ??
    (await stackOf(all)) ??
    (await writerOf((found) => found.isBlockDevice() && all.has(deviceNumber(found.rdev))))
  );
}

/**
 * The process that most likely has the lock on a file that was refused: one that has the file locked, and open for writing,
 * first. @returns such as "qemu-nbd (process 123)"; undefined where nobody is seen
 */
export async function findOpener(path: string): Promise<string | undefined> {
  const file = await stat(path, { bigint: true }).catch(() => undefined);
  if (!file) return undefined;
  const found = await openers(
    ({ dev, ino }) => dev === file.dev && ino === file.ino,
    (name) => basename(name) === basename(path),
  );
  const weight = ({ fdinfo }: Opener) => (isForWriting(fdinfo) ? 1 : 0) + (/^lock:/m.test(fdinfo) ? 2 : 0);
  const [first] = found.toSorted((a, b) => weight(b) - weight(a));
  return first && nameOf(first.pid);
}

async function relatives(number: string): Promise<Set<string>> {
  const node = await blockNode(number);
  const found = new Set([number, ...(node?.partitions ?? []), ...(node?.whole ? [node.whole] : [])]);
  if (node?.backing !== undefined) {
    const key = await behindKey(node.backing);
    for (const loop of await loopDevices()) {
      if (loop.number === number || key === undefined || (await behindKey(loop.backing)) !== key) continue;
      found.add(loop.number);
      for (const partition of (await blockNode(loop.number))?.partitions ?? []) found.add(partition);
    }
  }
  return found;
}

async function behindKey(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  if (!found) return undefined;
  return found.isBlockDevice() ? `b${found.rdev}` : `f${found.dev}:${found.ino}`;
}

/** Fields of /proc/PID/mountinfo (proc(5)): 2 the device, 4 the mount point, and behind the dash the source. */
async function mountOf(numbers: ReadonlySet<string>): Promise<string | undefined> {
  for (const line of (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')) {
    const fields = line.split(' ');
    const source = fields[fields.indexOf('-') + 2] ?? '';
    // A btrfs has a number of its own; its source is one of its devices.
    const isIt =
      numbers.has(fields[2] ?? '') ||
      (source.startsWith('/dev/') && numbers.has((await blockNumberOf(unescape(source))) ?? ''));
    if (isIt) return `is mounted at ${unescape(fields[4] ?? '')}`;
  }
  return undefined;
}

async function swapOf(numbers: ReadonlySet<string>): Promise<string | undefined> {
  const lines = await readFile('/proc/swaps', 'utf8').catch(() => '');
  for (const line of lines.split('\n').slice(1)) {
    const name = unescape(line.split(/\s/)[0] ?? '');
    if (name !== '' && numbers.has((await blockNumberOf(name)) ?? '')) return `is swap space (${name})`;
  }
  return undefined;
}

async function stackOf(numbers: ReadonlySet<string>): Promise<string | undefined> {
  for (const number of numbers) {
    const [holder] = (await blockNode(number))?.holders ?? [];
    if (holder !== undefined) return `is mapped: ${(await blockNode(holder))?.name ?? holder} is made of it`;
  }
  for (const { name, backing } of await loopDevices()) {
    if (numbers.has((await blockNumberOf(backing)) ?? '')) return `is mapped: ${name} is made of it`;
  }
  return undefined;
}

async function writerOf(isIt: (found: BigIntStats) => boolean): Promise<string | undefined> {
  const found = await openers(isIt, (name) => name.startsWith('/dev/'));
  const writer = found.find(({ fdinfo }) => isForWriting(fdinfo));
  return writer && `is open for writing in ${await nameOf(writer.pid)}`;
}

interface Opener {
  pid: string;
  fdinfo: string;
}

/**
 * Looks through what processes have open, those that this one may look into; itself is left out.
 * @param mayBe by the name: to stat what lies on a network file system that is gone would wait for it
 */
async function openers(
  isIt: (found: BigIntStats) => boolean,
  mayBe: (name: string) => boolean,
): Promise<Opener[]> {
  const found: Opener[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    for (const fd of await readdir(join('/proc', pid, 'fd')).catch(() => [])) {
      const path = join('/proc', pid, 'fd', fd);
      try {
        if (!mayBe(await readlink(path)) || !isIt(await stat(path, { bigint: true }))) continue;
        found.push({ pid, fdinfo: await readFile(join('/proc', pid, 'fdinfo', fd), 'utf8') });
      } catch (error) {
        // The process has ended, or closed it.
        if (errnoOf(error) === undefined) throw error;
      }
    }
  }
  return found;
}

/** `flags` of /proc/PID/fdinfo are octal; the last two bits are the access mode, 0 for reading (open(2)). */
function isForWriting(fdinfo: string): boolean {
  const flags = /^flags:\s*([0-7]+)$/m.exec(fdinfo)?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & 3) !== 0;
}

async function nameOf(pid: string): Promise<string> {
  const command = await readFile(join('/proc', pid, 'comm'), 'utf8').catch(() => '');
  return `${command.trim() || 'a process'} (process ${pid})`;
}

/** Spaces and the like are octal in mountinfo and swaps. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
