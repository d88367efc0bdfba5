import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, statfsSync } from 'node:fs';
import { Socket } from 'node:net';
import { freemem, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** statfs(2): memory file systems refuse or fake what the tests are about (direct I/O, fsync, holes). */
const TMPFS_MAGIC = 0x01021994;

/** Memory for the data of the run's own servers, and how many bytes of it have to be free for one run among several. */
const MEMORY = '/dev/shm';
const ENOUGH_MEMORY = 4 * 1024 ** 3;

export interface TestRun {
  /** Marks every process that the run starts, by the environment variable STRATA_TEST_RUN. */
  id: string;
  /** Everything that the run writes lies below: it is os.tmpdir() for the tests and what they start. */
  dir: string;
  /**
   * For the data of the run's own Redis and MariaDB: in memory where there is enough, as their flushes are most of what a
   * test waits for and no test cuts the machine's power. Otherwise below `dir`.
   */
  serverDir: string;
  watchdog: ChildProcess;
}

/**
 * Begins this process's run, at the import of this module. When the process ends, however it ends, a watchdog outside
 * of it (a process that waits for the end of a pipe) kills what the run started and removes its directory.
 */
export const testRun: TestRun = beginRun();

function beginRun(): TestRun {
  const dir = mkdtempSync(join(diskDirectory(), 'st-'));
  const id = dir;
  const serverDir = makeServerDirectory(dir);
  const program = fileURLToPath(new URL('watchdog.js', import.meta.url));
  const watchdog = spawn(process.execPath, [program, id, serverDir], {
    detached: true,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  watchdog.unref();
  // The pipe's other end is this process's life; it must not keep the process alive.
  if (watchdog.stdin instanceof Socket) watchdog.stdin.unref();
  process.env['STRATA_TEST_RUN'] = id;
  process.env['TMPDIR'] = dir;
  return { id, dir, serverDir, watchdog };
}

/** Ends the watchdog, which removes the run's directory on its way, and waits for it. */
export async function endRun(): Promise<void> {
  if (testRun.watchdog.exitCode !== null) return;
  testRun.watchdog.ref();
  const exited = once(testRun.watchdog, 'exit');
  testRun.watchdog.stdin?.end();
  await exited;
}

function makeServerDirectory(dir: string): string {
  if (!existsSync(MEMORY)) return dir;
  const { type, bavail, bsize } = statfsSync(MEMORY);
  if (type !== TMPFS_MAGIC || bavail * bsize < ENOUGH_MEMORY || freemem() < ENOUGH_MEMORY) return dir;
  // With the run's directory in its name: by that its processes are known.
  const serverDir = join(MEMORY, dir);
  mkdirSync(serverDir, { recursive: true, mode: 0o700 });
  return serverDir;
}

/** The first of the usual temporary directories that is on a disk. */
function diskDirectory(): string {
  const candidates = [tmpdir(), '/var/tmp', join(process.cwd(), '.strata')];
  for (const directory of candidates) {
    mkdirSync(directory, { recursive: true });
    if (statfsSync(directory).type !== TMPFS_MAGIC) return directory;
  }
  return tmpdir();
}
