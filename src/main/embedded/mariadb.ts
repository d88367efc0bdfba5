import { createConnection, type Connection } from 'mysql2/promise';
import { StrataError } from '../../shared/errors.js';
import { launchDaemon, waitUntilHealthy } from './daemon.js';
import type { EmbeddedPaths } from './paths.js';
import { findByArgument } from './processes.js';

export const DATABASE_NAME = 'strata';
export const DATABASE_USER = 'strata';

const PING_TIMEOUT_MS = 5000;
/** Crash recovery replays the redo log before the socket answers. */
const START_TIMEOUT_MS = 120_000;

/** The pids of the mariadbd of this data directory: one, or none. */
export function findMariadb(paths: EmbeddedPaths): Promise<number[]> {
  return findByArgument('mariadbd', `--datadir=${paths.databaseDir}`);
}

/** mariadbd refuses to run as root unless it is told so; an ordinary user may not name another one. */
export function userArguments(): string[] {
  return process.geteuid?.() === 0 ? ['-uroot'] : [];
}

/**
 * Starts the private MariaDB on an initialised data directory if it does not run, waits until it answers, and creates
 * the database and its user when they are absent.
 * @returns its pid, and whether it ran already
 * @throws service_failed
 */
export async function startMariadb(
  paths: EmbeddedPaths,
  program: string,
  signal: AbortSignal | undefined,
): Promise<{ pid: number; adopted: boolean }> {
  const [running] = await findMariadb(paths);
  const files = { workingDir: paths.databaseDir, logFile: paths.databaseLog };
  const pid = running ?? (await launchDaemon(program, mariadbArguments(paths), files));
  await waitUntilHealthy({
    service: 'mariadbd',
    pid,
    logFile: paths.databaseLog,
    timeoutMs: START_TIMEOUT_MS,
    signal,
    ping: () => pingMariadb(paths.databaseSocket),
  });
  await createDatabase(paths.databaseSocket);
  return { pid, adopted: running !== undefined };
}

function mariadbArguments(paths: EmbeddedPaths): string[] {
  return [
    '--no-defaults',
    ...userArguments(),
    `--datadir=${paths.databaseDir}`,
    `--tmpdir=${paths.databaseTmpDir}`,
    `--socket=${paths.databaseSocket}`,
    `--pid-file=${paths.runDir}/mariadb.pid`,
    '--skip-networking',
    '--skip-name-resolve',
    '--skip-log-bin',
    '--character-set-server=utf8mb4',
    // Two VMs whose names differ in case only are two VMs.
    '--collation-server=utf8mb4_bin',
    '--default-time-zone=+00:00',
    '--innodb-flush-log-at-trx-commit=1',
    '--innodb-buffer-pool-size=128M',
    '--max-allowed-packet=64M',
    '--max-connections=200',
    '--local-infile=0',
  ];
}

/** One `SELECT 1` over the socket. @throws service_failed */
export async function pingMariadb(socketPath: string): Promise<void> {
  try {
    await asAdministrator(socketPath, async (connection) => {
      await connection.query({ sql: 'SELECT 1', timeout: PING_TIMEOUT_MS });
    });
  } catch (error) {
    throw new StrataError('service_failed', 'MariaDB does not answer a SELECT.', { cause: error });
  }
}

/**
 * The accounts have no password: the server has no network port, and its socket lies in a directory that only this
 * user may enter, which is as strong as a password in a file beside it.
 */
async function createDatabase(socketPath: string): Promise<void> {
  await asAdministrator(socketPath, async (connection) => {
    await connection.query(`CREATE DATABASE IF NOT EXISTS ${DATABASE_NAME}`);
    await connection.query(`CREATE USER IF NOT EXISTS ${DATABASE_USER}@localhost`);
    await connection.query(`GRANT ALL PRIVILEGES ON ${DATABASE_NAME}.* TO ${DATABASE_USER}@localhost`);
  });
}

/** Runs `work` on a connection as the server's administrator, and closes the connection. */
export async function asAdministrator<T>(
  socketPath: string,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await createConnection({ socketPath, user: 'root', connectTimeout: PING_TIMEOUT_MS });
  try {
    const result = await work(connection);
    await connection.end();
    return result;
  } finally {
    connection.destroy();
  }
}
