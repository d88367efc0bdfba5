import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { testRun } from './testRun.js';

const run = promisify(execFile);

/** A directory on a file system of its own that clones files (FICLONE). */
export interface CloningFileSystem {
  directory: string;
  close(): Promise<void>;
}

const BYTES = 512 * 1024 ** 2;

/**
 * Mounts an XFS with reflinks from a file, which needs root, a loop device and xfsprogs; or takes the directory of
 * STRATA_TEST_CLONING_DIR. Undefined where neither can be had.
 */
export async function openCloningFileSystem(): Promise<CloningFileSystem | undefined> {
  const given = process.env.STRATA_TEST_CLONING_DIR;
  if (given !== undefined) {
    const directory = await mkdtemp(join(given, 'st-'));
    return { directory, close: () => rm(directory, { recursive: true, force: true }) };
  }
  const place = await mkdtemp(join(testRun.dir, 'clone-'));
  const image = join(place, 'image');
  const directory = join(place, 'mounted');
  await mkdir(directory);
  await writeFile(image, '');
  await truncate(image, BYTES);
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;
  const options = { env: { ...process.env, PATH: path } };
  try {
    await run('mkfs.xfs', ['-q', '-m', 'reflink=1', image], options);
    await run('mount', ['-o', 'loop', image, directory], options);
  } catch {
    await rm(place, { recursive: true, force: true });
    return undefined;
  }
  const close = async () => {
    await run('umount', [directory], options);
    await rm(place, { recursive: true, force: true });
  };
  try {
    await writeFile(join(directory, 'a'), 'a');
    await copyFile(join(directory, 'a'), join(directory, 'b'), constants.COPYFILE_FICLONE_FORCE);
    return { directory, close };
  } catch {
    await close();
    return undefined;
  }
}
