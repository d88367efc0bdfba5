import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StrataError } from '../../shared/errors.js';
import { CHANGING, PARTITION_OFFSET } from './makeDisk.js';
import { runTool } from './tool.js';

const KIB = 1024;
/** Sizes of the files that one change writes, in bytes. */
const NEW_FILES = [1024 * KIB, 512 * KIB, 64 * KIB];
/** As many are removed as are written, the oldest first, so that the disk never fills up. */
const KEPT_FILES = 8;

/** What was changed on the disk. */
export interface DiskChange {
  written: string[];
  removed: string[];
  bytes: number;
}

/**
 * Changes the file system on the demonstration's disk, as a guest would between two backups: by `debugfs -w`, which needs
 * no mount and no root. Writes new files and removes old ones.
 * @param label begins the names of the new files; not used before on this disk, and sorting after what was
 * @throws tool_failed when debugfs did not do it; it says so in its output only
 */
export async function changeDisk(disk: string, label: string, signal?: AbortSignal): Promise<DiskChange> {
  const before = await listFiles(disk, signal);
  const written = NEW_FILES.map((_, index) => `${label}-${index}.bin`);
  const removed = before.slice(0, Math.max(0, before.length + written.length - KEPT_FILES));
  const work = await mkdtemp(join(tmpdir(), 'strata-demo-'));
  try {
    const commands = removed.map((name) => `rm /${CHANGING}/${name}`);
    for (const [index, name] of written.entries()) {
      const content = join(work, name);
      await writeFile(content, randomBytes(NEW_FILES[index] ?? KIB));
      commands.push(`write "${content}" /${CHANGING}/${name}`);
    }
    const script = join(work, 'commands');
    await writeFile(script, `${commands.join('\n')}\n`);
    const output = await runTool('debugfs', ['-w', '-f', script, inPartition(disk)], signal);
    await checkFiles(disk, { written, removed }, output, signal);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return { written, removed, bytes: NEW_FILES.reduce((sum, size) => sum + size, 0) };
}

/** Names in the changing directory, in the order of their numbers of inodes and names: old ones first. */
async function listFiles(disk: string, signal: AbortSignal | undefined): Promise<string[]> {
  const output = await runTool('debugfs', ['-R', `ls -p /${CHANGING}`, inPartition(disk)], signal);
  // `ls -p` prints /inode/mode/uid/gid/name/size/ per line; a regular file's mode begins with 10.
  const names = [...output.matchAll(/^\/\d+\/10\d+\/\d+\/\d+\/([^/]+)\/\d*\/$/gm)].map(
    (match) => match[1] ?? '',
  );
  return names.sort(
    (a, b) => Number(b.startsWith('old-')) - Number(a.startsWith('old-')) || (a < b ? -1 : 1),
  );
}

/** debugfs ends with code 0 whatever becomes of its commands. */
async function checkFiles(
  disk: string,
  wanted: { written: string[]; removed: string[] },
  output: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const names = new Set(await listFiles(disk, signal));
  const done =
    wanted.written.every((name) => names.has(name)) && !wanted.removed.some((name) => names.has(name));
  if (!done) throw new StrataError('tool_failed', `debugfs did not change ${disk}:\n${output.slice(-1000)}`);
}

function inPartition(disk: string): string {
  return `${disk}?offset=${PARTITION_OFFSET}`;
}
