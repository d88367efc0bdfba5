import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, readFile, realpath, rename, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { StrataError, errnoOf } from '../../shared/errors.js';

/** Where the embedded services of one data directory keep their things. All paths are absolute and canonical. */
export interface EmbeddedPaths {
  dataDir: string;
  redisDir: string;
  databaseDir: string;
  /** Temporary files of mariadbd: never the caller's TMPDIR, which may be gone long before the server is. */
  databaseTmpDir: string;
  logDir: string;
  redisLog: string;
  databaseLog: string;
  runDir: string;
  /** `runDir`, or a private directory under the system's temporary one when `runDir` is too deep for a socket. */
  socketDir: string;
  redisSocket: string;
  databaseSocket: string;
}

/** unix(7): sun_path has 108 bytes, one of which is the NUL at the end. */
export const SOCKET_PATH_MAX = 107;

/** The longest name of a socket in a socket directory, PM2's included. */
const LONGEST_SOCKET_NAME = '/mariadb.sock';
const PRIVATE = 0o700;

/** Names the socket directory in use: it keeps later starts on the same one, whatever TMPDIR is by then. */
const RECORD = 'socket-dir';

/**
 * Creates the directories of the embedded services (mode 0700: the directory is what guards the sockets) and returns
 * the paths.
 * @throws service_failed when the private socket directory exists and belongs to somebody else
 */
export async function prepareEmbeddedPaths(dataDir: string): Promise<EmbeddedPaths> {
  await mkdir(dataDir, { recursive: true, mode: PRIVATE });
  const root = await realpath(dataDir);
  for (const name of ['redis', 'mariadb-tmp', 'logs', 'run']) {
    await mkdir(join(root, name), { recursive: true, mode: PRIVATE });
    await chmod(join(root, name), PRIVATE);
  }
  const runDir = join(root, 'run');
  return embeddedPaths(root, await prepareSocketDir(root, runDir));
}

/** The paths alone: creates nothing, and also answers for a data directory that does not exist yet. */
export async function readEmbeddedPaths(dataDir: string): Promise<EmbeddedPaths> {
  const root = await realpath(dataDir).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return resolve(dataDir);
    throw error;
  });
  return embeddedPaths(root, await chooseSocketDir(root, join(root, 'run')));
}

function embeddedPaths(dataDir: string, socketDir: string): EmbeddedPaths {
  const logDir = join(dataDir, 'logs');
  return {
    dataDir,
    redisDir: join(dataDir, 'redis'),
    databaseDir: join(dataDir, 'mariadb'),
    databaseTmpDir: join(dataDir, 'mariadb-tmp'),
    logDir,
    redisLog: join(logDir, 'redis.log'),
    databaseLog: join(logDir, 'mariadb.log'),
    runDir: join(dataDir, 'run'),
    socketDir,
    redisSocket: join(socketDir, 'redis.sock'),
    databaseSocket: join(socketDir, 'mariadb.sock'),
  };
}

async function prepareSocketDir(root: string, runDir: string): Promise<string> {
  const socketDir = await chooseSocketDir(root, runDir);
  if (socketDir === runDir) return runDir;
  await makePrivate(socketDir);
  const record = join(runDir, RECORD);
  await writeFile(`${record}.new`, socketDir, { mode: 0o600 });
  await rename(`${record}.new`, record);
  return socketDir;
}

async function chooseSocketDir(root: string, runDir: string): Promise<string> {
  if (Buffer.byteLength(runDir + LONGEST_SOCKET_NAME) <= SOCKET_PATH_MAX) return runDir;
  return (await readIfPresent(join(runDir, RECORD))) ?? shortDirectoryFor(root);
}

function shortDirectoryFor(root: string): string {
  const name = `strata-${createHash('sha256').update(root).digest('hex').slice(0, 16)}`;
  const preferred = join(tmpdir(), name);
  return Buffer.byteLength(preferred + LONGEST_SOCKET_NAME) <= SOCKET_PATH_MAX
    ? preferred
    : join('/tmp', name);
}

/** The temporary directory is open to all users: a directory (or link) that another one put there is refused. */
async function makePrivate(path: string): Promise<void> {
  await mkdir(path, { mode: PRIVATE }).catch((error: unknown) => {
    if (errnoOf(error) !== 'EEXIST') throw error;
  });
  const found = await lstat(path);
  if (!found.isDirectory() || found.uid !== process.geteuid?.() || (found.mode & 0o077) !== 0) {
    throw new StrataError('service_failed', `${path} is not a private directory of this user.`);
  }
}

/** Removes the private socket directory under the temporary one, if there is one and nobody uses it any more. */
export async function removeSocketDir(paths: EmbeddedPaths): Promise<void> {
  if (paths.socketDir === paths.runDir) return;
  await rmdir(paths.socketDir).catch((error: unknown) => {
    if (!['ENOENT', 'ENOTEMPTY'].includes(errnoOf(error) ?? '')) throw error;
  });
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
