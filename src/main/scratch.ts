import { lstat, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { StrataError } from '../shared/errors.js';

const NAME = /^p(\d+)-/;

/** Longest data directory, in bytes, below which a socket's path stays within its limit of 107 bytes. */
const LONGEST_DATA_DIR = 50;

/**
 * A private directory (mode 0700) of this process for unix sockets: in the data directory, or, where that is too deep
 * for the path of a socket, in the system's temporary directory under a name made from it.
 */
export async function makeScratch(dataDir: string): Promise<{ path: string; remove: () => Promise<void> }> {
  const parent = scratchParent(dataDir);
  await mkdir(parent, { recursive: true, mode: 0o700 });
  await assertPrivate(parent);
  await removeDead(parent);
  const path = await mkdtemp(join(parent, `p${process.pid}-`));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

function scratchParent(dataDir: string): string {
  if (Buffer.byteLength(dataDir) <= LONGEST_DATA_DIR) return join(dataDir, 'run', 'scratch');
  const hash = createHash('sha256').update(dataDir).digest('hex').slice(0, 10);
  return join(tmpdir(), `strata-run-${hash}`);
}

/** Whoever could write into the parent could put sockets of his own in our place. */
async function assertPrivate(parent: string): Promise<void> {
  const found = await lstat(parent);
  const ours = found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
  if (!ours)
    throw new StrataError('service_failed', `${parent} is not a private directory of this user; remove it.`);
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
