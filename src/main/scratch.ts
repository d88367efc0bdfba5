import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { createHash } from 'node:crypto';
import { join } from 'node:path';

const NAME = /^p(\d+)-/;

/**
 * A private directory (mode 0700) of this process for unix sockets. Socket paths are limited to 107 bytes, and a data
 * directory may be deep, so it lies in the system's temporary directory, under a name made from the data directory.
 */
export async function makeScratch(dataDir: string): Promise<{ path: string; remove: () => Promise<void> }> {
  const hash = createHash('sha256').update(dataDir).digest('hex').slice(0, 10);
  const parent = join(tmpdir(), `strata-run-${hash}`);
  await mkdir(parent, { recursive: true, mode: 0o700 });
  await removeDead(parent);
  const path = await mkdtemp(join(parent, `p${process.pid}-`));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** What killed processes have left. */
async function removeDead(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = Number(NAME.exec(name)?.[1]);
    if (Number.isInteger(pid) && !isAlive(pid))
      await rm(join(parent, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
