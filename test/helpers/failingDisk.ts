import { mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unmountBelow } from './mounts.js';
import { type NbdServer, startStorageDaemon } from './nbdServers.js';
import { runTool } from './runTool.js';

/** An ext4 whose disk does not give some of its sectors: to read them is an I/O error of the kernel. Root mounts it. */
export interface FailingDisk {
  /** Mount point. */
  path: string;
  /** From now on the sector with this byte of a file cannot be read. It is mounted anew: nothing may be open there. */
  failAt(file: string, offset: number): Promise<void>;
  /** Unmounts and removes it. Safe to repeat. */
  remove(): Promise<void>;
}

const BYTES = 128 * 1024 ** 2;
const SECTOR = 512;

/**
 * The disk is a file that qemu-storage-daemon serves by FUSE, through its driver for injected errors, to a loop device: the
 * file system and what is above it meet real errors, also by direct I/O.
 */
export async function openFailingDisk(directory: string, name: string): Promise<FailingDisk> {
  const path = join(directory, name);
  const image = `${path}.ext4`;
  const served = `${path}.served`;
  const sectors: number[] = [];
  let daemon: NbdServer | undefined;
  await mkdir(path);
  for (const file of [image, served]) await writeFile(file, '');
  await truncate(image, BYTES);
  await runTool('mkfs.ext4', '-q', '-m', '0', '-b', '4096', '-O', '^has_journal', image);
  const mount = async () => {
    daemon = await serve(image, served, sectors);
    await runTool('mount', '-o', 'loop', served, path);
  };
  const unmount = async () => {
    await runTool('umount', path);
    await daemon?.stop();
    daemon = undefined;
  };
  await mount();
  return {
    path,
    failAt: async (file, offset) => {
      await runTool('sync', '-f', path);
      sectors.push(await sectorOf(file, offset));
      await unmount();
      await mount();
    },
    remove: async () => {
      await unmountBelow(path);
      await daemon?.stop();
      await unmountBelow(served);
      for (const each of [path, image, served]) await rm(each, { recursive: true, force: true });
    },
  };
}

function serve(image: string, served: string, sectors: readonly number[]): Promise<NbdServer> {
  const errors = sectors.map((sector) => ({ event: 'none', iotype: 'read', sector, once: false }));
  const failing = {
    driver: 'blkdebug',
    'node-name': 'failing',
    image: 'store',
    ...(errors.length > 0 ? { 'inject-error': errors } : {}),
  };
  return startStorageDaemon(
    '--blockdev',
    `driver=file,node-name=store,filename=${image}`,
    '--blockdev',
    JSON.stringify(failing),
    '--blockdev',
    'driver=raw,node-name=disk,file=failing',
    '--export',
    `type=fuse,id=disk,node-name=disk,mountpoint=${served},writable=on`,
  );
}

/** Where a byte of a file lies on its disk, in sectors: by the extents that filefrag(8) prints. */
async function sectorOf(file: string, offset: number): Promise<number> {
  const wanted = Math.floor(offset / SECTOR);
  const printed = await runTool('filefrag', '-v', `-b${SECTOR}`, file);
  for (const [, first = '', last = '', physical = ''] of printed.matchAll(
    /^ *\d+: +(\d+)\.\. +(\d+): +(\d+)\.\./gm,
  )) {
    if (Number(first) <= wanted && wanted <= Number(last)) return Number(physical) + wanted - Number(first);
  }
  throw new Error(`${file} has no sector for byte ${offset}.`);
}
