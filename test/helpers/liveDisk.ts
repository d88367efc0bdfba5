import { copyFile } from 'node:fs/promises';
import type { Extent } from '../../src/shared/extents.js';
import type { Random } from './random.js';
import { runTool } from './runTool.js';

const SECTOR = 512;

/** A QCOW2 disk that a guest might use: it is changed at random, and dirty bitmaps note where, as QEMU's do. */
export interface LiveDisk {
  path: string;
  sizeBytes: number;
  /** What was touched since `forget`, as an upstream's change list: unsorted, overlapping, in sectors. */
  touched: Extent[];
  mutate(): Promise<void>;
  grow(): Promise<void>;
  addBitmap(name: string): Promise<void>;
  removeBitmap(name: string): Promise<void>;
  forget(): void;
  /** Saves the disk as it is now. */
  save(path: string): Promise<void>;
}

export async function createLiveDisk(path: string, sizeBytes: number, random: Random): Promise<LiveDisk> {
  await runTool('qemu-img', 'create', '-q', '-f', 'qcow2', path, String(sizeBytes));
  const disk: LiveDisk = {
    path,
    sizeBytes,
    touched: [],
    mutate: async () => {
      const commands = Array.from({ length: random.integer(1, 12) }, () => mutation(disk, random));
      await runTool('qemu-io', '-f', 'qcow2', ...commands.flatMap((command) => ['-c', command]), path);
    },
    grow: async () => {
      const bytes = random.integer(1, 4096) * SECTOR;
      await runTool('qemu-img', 'resize', '-q', '-f', 'qcow2', path, `+${bytes}`);
      disk.sizeBytes += bytes;
    },
    addBitmap: async (name) => {
      await runTool('qemu-img', 'bitmap', '--add', '-g', '65536', '-f', 'qcow2', path, name);
    },
    removeBitmap: async (name) => {
      await runTool('qemu-img', 'bitmap', '--remove', '-f', 'qcow2', path, name);
    },
    forget: () => {
      disk.touched = [];
    },
    save: (target) => copyFile(path, target),
  };
  return disk;
}

function mutation(disk: LiveDisk, random: Random): string {
  const sectors = disk.sizeBytes / SECTOR;
  const first = random.integer(0, sectors - 1);
  const length = Math.min(random.pick([1, 3, 127, 128, 129, 700, 3000]), sectors - first);
  const range = `${first * SECTOR} ${length * SECTOR}`;
  disk.touched.push({ offset: first * SECTOR, length: length * SECTOR });
  const kind = random.integer(0, 9);
  if (kind < 6) return `write -q -P ${random.integer(0, 255)} ${range}`;
  if (kind < 8) return `write -q -z ${range}`;
  return `discard -q ${range}`;
}
