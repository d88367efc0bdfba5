import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addPartition } from './partitions.js';
import { runTool } from './runTool.js';

/** A loop device over a file of a test's own. Root makes it. */
export interface LoopDevice {
  path: string;
  /** The file behind it. */
  file: string;
  /** Partitions without a table: the kernel knows them, the bytes are untouched. @returns their paths */
  addPartitions(...bytes: readonly [offset: number, length: number][]): Promise<string[]>;
  detach(): Promise<void>;
}

export async function openLoopDevice(
  directory: string,
  name: string,
  sizeBytes: number,
): Promise<LoopDevice> {
  const file = join(directory, name);
  await writeFile(file, '');
  await truncate(file, sizeBytes);
  return loopOver(file);
}

/**
 * Another loop device over a file, or one over a block device.
 * @param past the file by direct I/O: where a program serves it by FUSE, the kernel otherwise answers from the file's own
 *   page cache, for as long as the file's attributes are valid (a second with qemu-storage-daemon 7.2)
 */
export async function loopOver(file: string, past?: 'cache'): Promise<LoopDevice> {
  const direct = past === 'cache' ? ['--direct-io=on'] : [];
  const path = (await runTool('losetup', '--find', '--show', '--partscan', ...direct, file)).trim();
  return {
    path,
    file,
    addPartitions: async (...bytes) => {
      const made: string[] = [];
      for (const [index, [startBytes, lengthBytes]] of bytes.entries()) {
        await addPartition(path, index + 1, { startBytes, lengthBytes });
        made.push(`${path}p${index + 1}`);
      }
      return made;
    },
    detach: async () => {
      await runTool('losetup', '--detach', path);
    },
  };
}
