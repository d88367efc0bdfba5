import { open } from 'node:fs/promises';
import { addPartition, deletePartition } from './partitions.js';
import { runTool } from './runTool.js';

/** Without root there are no loop devices. */
export const MAY_ATTACH = process.getuid?.() === 0;

/** A block device whose bytes are a file. */
export interface LoopDevice {
  path: string;
  partition(number: number): string;
  detach(): Promise<void>;
}

/** Attaches a file as a block device. @param sector its logical sectors, in bytes */
export async function attachLoop(file: string, { sector = 512 } = {}): Promise<LoopDevice> {
  const options = ['--find', '--show', '--sector-size', String(sector)];
  const path = (await runTool('losetup', ...options, file)).trim();
  return {
    path,
    partition: (number) => `${path}p${number}`,
    detach: async () => {
      await deletePartition(path, 1).catch(() => undefined);
      await runTool('losetup', '--detach', path);
    },
  };
}

const FIRST_BYTE = 1024 ** 2;

/** Makes the kernel see one partition, from 1 MiB to the end of the device. */
export async function partitionOnce({ path }: LoopDevice): Promise<void> {
  const sizeBytes = Number(await runTool('blockdev', '--getsize64', path));
  const length = Math.floor((sizeBytes - FIRST_BYTE) / 4096) * 4096;
  await addPartition(path, 1, { startBytes: FIRST_BYTE, lengthBytes: length });
}

/** All of a device, past every page cache: what is on it. */
export async function onDevice(path: string, copy: string): Promise<void> {
  await runTool('dd', `if=${path}`, `of=${copy}`, 'iflag=direct', 'bs=1M', 'status=none');
}

/** Fills the page cache of a device, which then keeps what it has as long as anybody holds the device. */
export async function readThroughCache(path: string): Promise<void> {
  await runTool('dd', `if=${path}`, 'of=/dev/null', 'bs=1M', 'status=none');
}

/** Holds a device open, as a file system or another program does. */
export async function holdOpen(path: string): Promise<{ close(): Promise<void> }> {
  const file = await open(path, 'r');
  return { close: () => file.close() };
}
