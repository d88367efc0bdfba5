import { randomBytes } from 'node:crypto';
import { link, readFile, unlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '../../shared/clock.js';
import { StrataError, errnoOf } from '../../shared/errors.js';

const RETRY_MS = 50;

/**
 * Runs `work` while no other process does the same on this data directory.
 *
 * The lock is a listening socket in Linux's abstract namespace (unix(7)): the kernel lets one process have the name
 * and takes it back when that process dies, however it dies, so there is no stale lock file to argue about. The name
 * is a random one kept in `runDir`, so that nobody without access to the directory can take it first.
 * @param purpose part of the lock's identity: locks of different purposes do not exclude each other
 * @throws deadline_exceeded when the other process keeps the lock for `timeoutMs` milliseconds
 */
export async function withDirectoryLock<T>(
  lock: { runDir: string; purpose: string; timeoutMs: number; signal?: AbortSignal | undefined },
  work: () => Promise<T>,
): Promise<T> {
  const name = `\0strata-${lock.purpose}-${await lockName(lock.runDir)}`;
  const deadline = systemClock.monotonicMs() + lock.timeoutMs;
  let server = await tryListen(name);
  while (!server) {
    if (systemClock.monotonicMs() >= deadline) {
      throw new StrataError(
        'deadline_exceeded',
        `Another process is starting or stopping the services of ${lock.runDir} and has not finished within ${lock.timeoutMs} ms.`,
      );
    }
    await systemClock.sleep(RETRY_MS, lock.signal);
    server = await tryListen(name);
  }
  try {
    return await work();
  } finally {
    await closeServer(server);
  }
}

/** Reads the lock's name, or makes one. The name appears whole by link(2), so two first starts agree on one. */
async function lockName(runDir: string): Promise<string> {
  const path = join(runDir, 'lock-name');
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  const draft = `${path}.${randomBytes(8).toString('hex')}`;
  await writeFile(draft, randomBytes(16).toString('hex'), { mode: 0o600, flag: 'wx' });
  try {
    await link(draft, path);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  } finally {
    await unlink(draft);
  }
  return readFile(path, 'utf8');
}

function tryListen(name: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error) => {
      if (errnoOf(error) === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(name, () => resolve(server));
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.close((error) => (error ? reject(error) : resolve()));
  });
}
