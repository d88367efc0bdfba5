import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { launchDaemon, waitUntilHealthy } from '../../src/main/embedded/daemon.js';
import type { EmbeddedServices } from '../../src/main/embedded/index.js';
import { asAdministrator, pingMariadb, userArguments } from '../../src/main/embedded/mariadb.js';
import type { EmbeddedPaths } from '../../src/main/embedded/paths.js';
import { endProcesses, findByArgument } from '../../src/main/embedded/processes.js';
import { fileExists } from '../../src/shared/files.js';

const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 90_000;
const NAME = 'strata';

/**
 * Starts a MySQL server (`program`, a mysqld 8 or newer) on a data directory of its own, or adopts the one that runs.
 * What a user's own server has stays as MySQL has it: default collation, SQL mode, authentication. Its time zone is an
 * odd one, because no statement may depend on it.
 */
export async function startMysql(
  paths: EmbeddedPaths,
  program: string,
): Promise<EmbeddedServices['database']> {
  const dataDir = dataDirOf(paths);
  const socketPath = socketOf(paths);
  if (!(await fileExists(dataDir))) await initialise(paths, program);
  const [running] = await findMysql(paths);
  const files = { workingDir: dataDir, logFile: paths.databaseLog };
  const pid = running ?? (await launchDaemon(program, serverArguments(paths), files));
  await waitUntilHealthy({
    service: 'mysqld',
    pid,
    logFile: paths.databaseLog,
    timeoutMs: START_TIMEOUT_MS,
    signal: undefined,
    ping: () => pingMariadb(socketPath),
  });
  await asAdministrator(socketPath, async (connection) => {
    await connection.query(`CREATE DATABASE IF NOT EXISTS ${NAME}`);
    await connection.query(`CREATE USER IF NOT EXISTS ${NAME}@localhost`);
    await connection.query(`GRANT ALL PRIVILEGES ON ${NAME}.* TO ${NAME}@localhost`);
  });
  const url = `mysql://${NAME}@localhost/${NAME}?socketPath=${encodeURIComponent(socketPath)}`;
  return { url, socketPath, pid, adopted: running !== undefined, name: NAME, user: NAME };
}

/** Stops it, if it runs; its files stay. */
export async function stopMysql(paths: EmbeddedPaths): Promise<void> {
  await endProcesses(await findMysql(paths), STOP_TIMEOUT_MS, () => undefined);
}

/** A wrapper that sets a library path may stand before it: the program's own name counts. */
function findMysql(paths: EmbeddedPaths): Promise<number[]> {
  return findByArgument('mysqld', `--datadir=${dataDirOf(paths)}`);
}

function dataDirOf(paths: EmbeddedPaths): string {
  return join(paths.dataDir, 'mysql');
}

/** As short as MariaDB's, whose room in a socket's path is checked. */
function socketOf(paths: EmbeddedPaths): string {
  return join(paths.socketDir, 'mysql.sock');
}

/** Files small: a run has several of them, in memory. */
const SIZES = ['--innodb-redo-log-capacity=32M', '--innodb-buffer-pool-size=128M'];

function serverArguments(paths: EmbeddedPaths): string[] {
  return [
    '--no-defaults',
    ...userArguments(),
    `--datadir=${dataDirOf(paths)}`,
    `--socket=${socketOf(paths)}`,
    `--pid-file=${paths.runDir}/mysql.pid`,
    '--skip-networking',
    '--mysqlx=OFF',
    '--secure-file-priv=NULL',
    '--disable-log-bin',
    '--default-time-zone=+05:30',
    '--max-allowed-packet=64M',
    '--max-connections=200',
    ...SIZES,
  ];
}

/** The administrator has no password, as in the embedded server: the socket's directory is private. */
async function initialise(paths: EmbeddedPaths, program: string): Promise<void> {
  const dataDir = dataDirOf(paths);
  await mkdir(dataDir, { mode: 0o700 });
  const log = await open(paths.databaseLog, 'a', 0o600);
  try {
    const args = [
      '--no-defaults',
      ...userArguments(),
      `--datadir=${dataDir}`,
      '--initialize-insecure',
      ...SIZES,
    ];
    const child = spawn(program, args, { cwd: '/', stdio: ['ignore', log.fd, log.fd] });
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0)
      throw new Error(`${program} --initialize-insecure ended with ${code}: see ${paths.databaseLog}`);
  } finally {
    await log.close();
  }
}
