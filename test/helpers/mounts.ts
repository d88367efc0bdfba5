import { mkdir, readFile, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from './runTool.js';

/**
 * A small ext4 of a test's own, in a file by a loop device: direct I/O, fsync and a full disk are those of a real one.
 * Root mounts it.
 */
export interface SmallDisk {
  /** Mount point. Beneath it is an empty directory. */
  path: string;
  mount(): Promise<void>;
  /** Lazily: what is open goes on, by its path nothing is there. */
  unmount(): Promise<void>;
  /** Bytes that are free. */
  free(): Promise<number>;
  /** Leaves so many bytes, or so many new names, free, by files of its own in the mount point. */
  leave(room: { bytes: number } | { names: number }): Promise<void>;
  /** Removes those files. */
  makeRoom(): Promise<void>;
  /** Unmounts it, however often it was mounted, and removes it. Safe to repeat. */
  remove(): Promise<void>;
}

/** Small, so that the names can be used up quickly. */
const INODES = 64;

export async function openSmallDisk(directory: string, name: string, sizeBytes: number): Promise<SmallDisk> {
  const path = join(directory, name);
  const image = `${path}.ext4`;
  const ballast = join(path, 'ballast');
  await mkdir(path);
  await writeFile(image, '');
  await truncate(image, sizeBytes);
  // No room is kept back for root, who runs the tests.
  const options = ['-m', '0', '-b', '4096', '-N', String(INODES), '-O', '^has_journal'];
  await runTool('mkfs.ext4', '-q', ...options, image);
  const mount = async () => {
    await runTool('mount', '-o', 'loop', image, path);
    await mkdir(ballast, { recursive: true });
  };
  const free = async () => {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  };
  const makeRoom = async () => {
    await rm(ballast, { recursive: true, force: true });
    await mkdir(ballast);
  };
  await mount();
  return {
    path,
    mount,
    unmount: async () => {
      await runTool('umount', '-l', path);
    },
    free,
    leave: async (room) => {
      await makeRoom();
      if ('bytes' in room) {
        await runTool('fallocate', '-l', String((await free()) - room.bytes), join(ballast, 'bytes'));
        return;
      }
      const { ffree } = await statfs(path);
      for (let n = ffree; n > room.names; n--) await writeFile(join(ballast, String(n)), '');
    },
    makeRoom,
    remove: async () => {
      await unmountBelow(path);
      for (const each of [path, image]) await rm(each, { recursive: true, force: true });
    },
  };
}

/** An ext4 that believes to have more room than there is: what it cannot store any more is an I/O error, as of thin storage. */
export interface ThinDisk {
  path: string;
  /** From now on it can store so many bytes more than it has. */
  tighten(bytes: number): Promise<void>;
  /** Gives it the room, repairs it (it is read-only since the error) and mounts it again; nothing may be open there. */
  mend(): Promise<void>;
  remove(): Promise<void>;
}

export async function openThinDisk(directory: string, name: string): Promise<ThinDisk> {
  const path = join(directory, name);
  const store = join(directory, `${name}.store`);
  const image = join(store, 'ext4');
  await mkdir(path);
  await mkdir(store);
  await runTool('mount', '-t', 'tmpfs', '-o', `size=${2 * THIN_BYTES}`, 'none', store);
  await writeFile(image, '');
  await truncate(image, THIN_BYTES);
  await runTool('mkfs.ext4', '-q', '-m', '0', '-b', '4096', '-J', 'size=4', '-E', 'nodiscard', image);
  const mount = () => runTool('mount', '-o', 'loop,errors=remount-ro', image, path);
  const allow = (bytes: number) => runTool('mount', '-o', `remount,size=${bytes}`, store);
  await mount();
  return {
    path,
    tighten: async (bytes) => {
      await runTool('sync', '-f', path);
      const { blocks, bfree, bsize } = await statfs(store);
      await allow((blocks - bfree) * bsize + bytes);
    },
    mend: async () => {
      await runTool('umount', path);
      await allow(2 * THIN_BYTES);
      await repair(image);
      await mount();
    },
    remove: async () => {
      for (const each of [path, store]) {
        await unmountBelow(each);
        await rm(each, { recursive: true, force: true });
      }
    },
  };
}

const THIN_BYTES = 64 * 1024 ** 2;

/** e2fsck(8): exit code 1 says that there was something to mend, and that it is mended. */
async function repair(image: string): Promise<void> {
  await runTool('e2fsck', '-f', '-y', image).catch((error: unknown) => {
    if ((error as { code?: unknown }).code !== 1) throw error;
  });
}

/** Unmounts all that is mounted on a directory or beneath it, also what lies under another mount. */
export async function unmountBelow(directory: string): Promise<void> {
  const lines = (await readFile('/proc/self/mounts', 'utf8')).split('\n');
  const points = lines.map((line) => line.split(' ')[1] ?? '');
  for (const point of points.reverse()) {
    if (point === directory || point.startsWith(`${directory}/`)) await runTool('umount', '-l', point);
  }
}
