import type { BigIntStats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { blockNode, blockNumberOf, loopDevices, statIfAny } from './blockNode.js';
import { deviceNumber } from './deviceNumber.js';

/**
 * The kernel that device numbers and inodes are of: containers of one host have the same, and a reboot gives another
 * (random(4)).
 */
export async function kernelId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

/**
 * Names all storage whose bytes are bytes of a file or block device, so that two paths to the same bytes have a name in
 * common, whatever lies between: the file or device itself, for a loop device what is behind it, and everything that is
 * stacked on these (partitions, dm, md, loop devices). Two partitions of one disk have none in common.
 * What is behind a dm device is left out: two volumes of one group would look the same, and the kernel holds such disks.
 * @returns names that are valid on this kernel only, such as `block 7:0` and `file 254:0 1234`
 */
export async function storageIds(path: string): Promise<string[]> {
  const ids = new Set<string>();
  const loops = await loopDevices();
  const behind = await Promise.all(loops.map(({ backing }) => statIfAny(backing)));
  const add = async (id: string): Promise<void> => {
    if (ids.has(id)) return;
    ids.add(id);
    for (const [index, loop] of loops.entries()) {
      const file = behind[index];
      if (file && idOf(file) === id) await add(`block ${loop.number}`);
    }
    const node = id.startsWith('block ') ? await blockNode(id.slice('block '.length)) : undefined;
    for (const above of [...(node?.partitions ?? []), ...(node?.holders ?? [])]) await add(`block ${above}`);
  };
  for (const found of await downTo(await stat(path, { bigint: true }))) await add(idOf(found));
  return [...ids];
}

/** The file behind a loop device, also behind a stack of them or a partition of one; nothing for any other device. */
export async function filesBehind(path: string): Promise<string[]> {
  const number = await blockNumberOf(path);
  const node = number === undefined ? undefined : await blockNode(number);
  const disk = node?.whole === undefined ? node : await blockNode(node.whole);
  const file = disk?.backing;
  const found = file === undefined ? undefined : await statIfAny(file);
  if (file === undefined || !found) return [];
  return found.isBlockDevice() ? filesBehind(file) : [file];
}

/** What it is itself, and what is behind it as long as it is a loop device. */
async function downTo(found: BigIntStats): Promise<BigIntStats[]> {
  if (!found.isBlockDevice()) return [found];
  const node = await blockNode(deviceNumber(found.rdev));
  const behind = node?.backing === undefined ? undefined : await statIfAny(node.backing);
  return behind ? [found, ...(await downTo(behind))] : [found];
}

function idOf(found: BigIntStats): string {
  return found.isBlockDevice()
    ? `block ${deviceNumber(found.rdev)}`
    : `file ${deviceNumber(found.dev)} ${found.ino}`;
}
