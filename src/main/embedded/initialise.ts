import { fileExists } from '../../shared/files.js';
import { spawn } from 'node:child_process';
import { mkdtemp, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfAborted, withDeadline } from '../../shared/abort.js';
import { StrataError } from '../../shared/errors.js';
import { logTail } from './logTail.js';
import { userArguments } from './mariadb.js';
import type { EmbeddedPaths } from './paths.js';
import { ownProcesses, sendSignal, waitUntilGone } from './processes.js';

const DRAFT_PREFIX = 'mariadb.init-';
const INIT_TIMEOUT_MS = 180_000;

/**
 * Creates MariaDB's system tables unless the data directory exists. They are made in a draft directory that gets its
 * name by a rename at the end: a start that is killed in the middle leaves only a draft, which the next one removes.
 * The caller holds the directory lock.
 * @throws service_failed with the end of the log
 */
export async function initialiseDatabase(
  paths: EmbeddedPaths,
  program: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  await removeDrafts(paths.dataDir);
  if (await fileExists(paths.databaseDir)) return;
  const draft = await mkdtemp(join(paths.dataDir, DRAFT_PREFIX));
  try {
    await runInstall(program, draft, paths, signal);
    await flushDirectory(draft);
    await rename(draft, paths.databaseDir);
    await flushDirectory(paths.dataDir);
  } catch (error) {
    await removeDrafts(paths.dataDir);
    throw error;
  }
}

/** Removes what an interrupted initialisation left, after ending the servers that may still be writing into it. */
async function removeDrafts(dataDir: string): Promise<void> {
  const drafts = (await readdir(dataDir)).filter((name) => name.startsWith(DRAFT_PREFIX));
  for (const name of drafts) {
    const draft = join(dataDir, name);
    const argument = `--datadir=${draft}`;
    const writers = (await ownProcesses()).filter(({ argv }) => argv.includes(argument));
    for (const { pid } of writers) sendSignal(pid, 'SIGKILL');
    await waitUntilGone(
      writers.map(({ pid }) => pid),
      10_000,
    );
    await rm(draft, { recursive: true, force: true });
  }
}

async function runInstall(
  program: string,
  draft: string,
  paths: EmbeddedPaths,
  signal: AbortSignal | undefined,
): Promise<void> {
  const deadline = withDeadline(signal, INIT_TIMEOUT_MS, 'mariadb-install-db');
  const log = await open(paths.databaseLog, 'a', 0o600);
  try {
    const code = await runToEnd(program, installArguments(draft), log.fd, deadline.signal);
    if (code === 0) return;
    throwIfAborted(deadline.signal);
    throw new StrataError(
      'service_failed',
      `mariadb-install-db ended with code ${code}. The end of ${paths.databaseLog}:\n${await logTail(paths.databaseLog)}`,
    );
  } finally {
    deadline.clear();
    await log.close();
  }
}

function installArguments(draft: string): string[] {
  return [
    '--no-defaults',
    // Not `--user=root`: that form makes the script change the owner of the system's own authentication plugin.
    // In the short form it is passed on to mariadbd unread.
    ...userArguments(),
    `--datadir=${draft}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    '--skip-name-resolve',
    // Needs no host name that resolves.
    '--force',
  ];
}

/** The exit code, or null when a signal ended the program. When `signal` aborts, the program is killed. */
function runToEnd(
  program: string,
  args: readonly string[],
  logFd: number,
  signal: AbortSignal,
): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: '/', stdio: ['ignore', logFd, logFd] });
    const kill = () => child.kill('SIGKILL');
    signal.addEventListener('abort', kill, { once: true });
    child.once('error', reject);
    child.once('exit', (code) => {
      signal.removeEventListener('abort', kill);
      resolve(code);
    });
  });
}

async function flushDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
