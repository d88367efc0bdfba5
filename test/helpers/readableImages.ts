import { readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ChainFixture } from './chainFixture.js';
import { execa } from 'execa';

/** Numbers of the backups, from 1, that plain `qemu-img convert` reads from their own place with the right bytes. */
export async function readableImages({ directory, root, backups }: ChainFixture): Promise<number[]> {
  const readable: number[] = [];
  const to = join(root, '..', `${basename(root)}.restored`);
  for (const [index, backup] of backups.entries()) {
    const image = join(directory, basename(backup.image));
    const { exitCode } = await execa('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', image, to], {
      reject: false,
    });
    if (exitCode === 0 && (await readFile(to)).equals(backup.content)) readable.push(index + 1);
  }
  await rm(to, { force: true });
  return readable;
}
