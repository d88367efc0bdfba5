import type { BackupDiskCreate } from '../../src/contract/index.js';
import { open, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { BLOCK_SIZE, type Extent } from '../../src/shared/extents.js';
import type { TestFleet } from './fleet.js';
import { startQemuNbd } from './nbdServers.js';
import { runTool } from './runTool.js';

/** What each block of a disk is filled with; 0 is a block of zeros. */
export type Tags = Uint8Array;

/** Who names a disk's changes: an upstream with a list, or a dirty bitmap of QEMU's in a QCOW2 image. */
export type TrackerKind = 'list' | 'bitmap';

/** A disk whose tracker does not name all that has changed; the test knows what it hides. */
export interface LyingDisk {
  diskId: number;
  sizeBytes: number;
  /** What it holds. */
  now: Tags;
  /** The blocks that the tracker names as changed since `forget`. */
  named: Set<number>;
  /** Fills blocks; where that is hidden, the tracker does not see it. */
  overwrite(tags: ReadonlyMap<number, number>, hidden: boolean): Promise<void>;
  /** Adds bytes (a multiple of 512) and fills the block in which it ended anew. */
  grow(bytes: number, tag: number): Promise<void>;
  /** The part of a request that says where it is read from and, if `tracked`, what the tracker says. */
  ask(tracked: boolean): Promise<{ body: Partial<BackupDiskCreate>; done: () => Promise<void> }>;
  /** The tracker begins anew: a backup holds all that it had named. */
  forget(): Promise<void>;
  image(): { type: 'file'; path: string; format: 'raw' | 'qcow2' };
}

/** A disk of zeros. */
export async function createLyingDisk(
  fleet: TestFleet,
  { name, diskId, kind, blocks }: { name: string; diskId: number; kind: TrackerKind; blocks: number },
): Promise<LyingDisk> {
  const format = kind === 'list' ? 'raw' : 'qcow2';
  const path = join(fleet.sources, `${name}.${format}`);
  await runTool('qemu-img', 'create', '-q', '-f', format, path, String(blocks * BLOCK_SIZE));
  const bitmap = (...args: string[]) => runTool('qemu-img', 'bitmap', ...args, '-f', 'qcow2', path, 'dirty');
  let hasBitmap = false;
  const write = kind === 'list' ? fillRaw : fillQcow2;
  const disk: LyingDisk = {
    diskId,
    sizeBytes: blocks * BLOCK_SIZE,
    now: new Uint8Array(blocks),
    named: new Set(),
    overwrite: async (tags, hidden) => {
      const blind = hidden && hasBitmap;
      if (blind) await bitmap('--disable');
      await write(path, tags, disk.sizeBytes);
      if (blind) await bitmap('--enable');
      for (const [block, tag] of tags) {
        disk.now[block] = tag;
        if (!hidden) disk.named.add(block);
      }
    },
    grow: async (bytes, tag) => {
      const last = Math.floor((disk.sizeBytes - 1) / BLOCK_SIZE);
      await runTool('qemu-img', 'resize', '-q', '-f', format, path, `+${bytes}`);
      disk.sizeBytes += bytes;
      const grown = new Uint8Array(Math.ceil(disk.sizeBytes / BLOCK_SIZE));
      grown.set(disk.now);
      disk.now = grown;
      await disk.overwrite(new Map([[last, tag]]), false);
    },
    ask: async (tracked) => {
      if (!tracked) return { body: { source: disk.image() }, done: () => Promise.resolve() };
      if (kind === 'list') {
        const changed_extents = [...disk.named].map((block) => partOf(block, disk.sizeBytes));
        return { body: { source: disk.image(), changed_extents }, done: () => Promise.resolve() };
      }
      const server = await startQemuNbd(path, '-r', '-f', 'qcow2', '-B', 'dirty');
      return {
        body: { source: { type: 'nbd', uri: server.uri(), bitmap: 'dirty' } },
        done: () => server.stop(),
      };
    },
    forget: async () => {
      disk.named = new Set();
      if (kind === 'list') return;
      if (hasBitmap) await bitmap('--remove');
      await bitmap('--add', '-g', String(BLOCK_SIZE));
      hasBitmap = true;
    },
    image: () => ({ type: 'file', path, format }),
  };
  return disk;
}

/** Writes a raw image of blocks that are filled so. */
export async function writeTags(path: string, tags: Tags, sizeBytes: number): Promise<void> {
  await (await open(path, 'w')).close();
  await truncate(path, sizeBytes);
  const data = [...tags].flatMap((tag, block): [number, number][] => (tag === 0 ? [] : [[block, tag]]));
  await fillRaw(path, new Map(data), sizeBytes);
}

function extentOf(block: number, sizeBytes: number): Extent {
  const offset = block * BLOCK_SIZE;
  return { offset, length: Math.min(BLOCK_SIZE, sizeBytes - offset) };
}

/** A tracker of sectors: what it names is somewhere in the block. */
function partOf(block: number, sizeBytes: number): Extent {
  const { offset, length } = extentOf(block, sizeBytes);
  return { offset: offset + length - 512, length: 512 };
}

async function fillRaw(path: string, tags: ReadonlyMap<number, number>, sizeBytes: number): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    for (const [block, tag] of tags) {
      const { offset, length } = extentOf(block, sizeBytes);
      await handle.write(Buffer.alloc(length, tag), 0, length, offset);
    }
  } finally {
    await handle.close();
  }
}

async function fillQcow2(path: string, tags: ReadonlyMap<number, number>, sizeBytes: number): Promise<void> {
  if (tags.size === 0) return;
  const commands = [...tags].flatMap(([block, tag]) => {
    const { offset, length } = extentOf(block, sizeBytes);
    return ['-c', tag === 0 ? `write -q -z ${offset} ${length}` : `write -q -P ${tag} ${offset} ${length}`];
  });
  await runTool('qemu-io', '-f', 'qcow2', ...commands, path);
}
