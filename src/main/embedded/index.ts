import { rm } from 'node:fs/promises';
import { throwIfAborted } from '../../shared/abort.js';
import { initialiseDatabase } from './initialise.js';
import { withDirectoryLock } from './lock.js';
import { DATABASE_NAME, DATABASE_USER, findMariadb, pingMariadb, startMariadb } from './mariadb.js';
import { type EmbeddedPaths, prepareEmbeddedPaths, readEmbeddedPaths, removeSocketDir } from './paths.js';
import { endProcesses } from './processes.js';
import { findRedis, pingRedis, startRedis } from './redis.js';
import { locateTools } from './tools.js';

export interface EmbeddedOptions {
  /** The data directory; created when absent. May be deeper than a socket path can be. */
  dataDir: string;
  log?: (line: string) => void;
  signal?: AbortSignal | undefined;
}

interface Started {
  url: string;
  socketPath: string;
  pid: number;
  adopted: boolean;
}

interface Servers {
  redis: Started;
  database: Started & { name: string; user: string };
}

/** A server that a data directory may run for itself. */
export type EmbeddedName = keyof Servers;

export type EmbeddedServices<Name extends EmbeddedName = EmbeddedName> = Pick<Servers, Name> & {
  /** Stops the servers of the data directory: the same as `stopEmbedded`. */
  close: () => Promise<void>;
};

export interface ServiceStatus {
  state: 'running' | 'not_answering' | 'stopped';
  pid?: number;
  socketPath: string;
  logFile: string;
}

/** A start may wait for another one, which may have to initialise or to recover the database. */
const LOCK_TIMEOUT_MS = 300_000;
const REDIS_STOP_MS = 30_000;
const DATABASE_STOP_MS = 90_000;

const ALL: readonly EmbeddedName[] = ['redis', 'database'];

/**
 * Starts a private Redis and a private MariaDB for a data directory, or adopts those that run already, and waits until
 * they answer. They outlive the calling process. Safe to call from several processes at once, and after a SIGKILL of
 * everything.
 * @param options.only the servers that are wanted (default: both). Nothing is demanded of the machine for another one.
 * @throws tool_missing when a wanted server is not installed, naming the packages
 * @throws service_failed when a server does not start, with the end of its log
 */
export async function startEmbedded<Name extends EmbeddedName = EmbeddedName>(
  options: EmbeddedOptions & { only?: readonly Name[] },
): Promise<EmbeddedServices<Name>> {
  const log = options.log ?? (() => undefined);
  const names: readonly EmbeddedName[] = options.only ?? ALL;
  const toolPath = await locateTools(names);
  const paths = await prepareEmbeddedPaths(options.dataDir);
  const start: Record<EmbeddedName, () => Promise<[string, Servers[EmbeddedName]]>> = {
    redis: async () => {
      const redis = await startRedis(paths, toolPath('redis-server'), options.signal);
      return [`Redis ${describe(redis)}`, redisFacts(paths, redis)];
    },
    database: async () => {
      await initialiseDatabase(paths, toolPath('mariadb-install-db'), options.signal);
      const database = await startMariadb(paths, toolPath('mariadbd'), options.signal);
      return [`MariaDB ${describe(database)}`, databaseFacts(paths, database)];
    },
  };
  return withDirectoryLock(lockOf(paths, options.signal), async () => {
    throwIfAborted(options.signal);
    // Settled, not all: a failure of one must not return while the other is still being started.
    const settled = await Promise.allSettled(names.map((name) => start[name]()));
    const started = settled.map((one) => {
      if (one.status === 'rejected') throw one.reason;
      return one.value;
    });
    log(`${started.map(([text]) => text).join(', ')}, sockets in ${paths.socketDir}.`);
    const servers = Object.fromEntries(names.map((name, index) => [name, started[index]?.[1]]));
    const close = () => stopEmbedded({ dataDir: paths.dataDir, log });
    return { ...servers, close } as EmbeddedServices<Name>;
  });
}

/** Stops the servers of a data directory, if they run: politely, then by SIGKILL, which both survive. */
export async function stopEmbedded(options: EmbeddedOptions): Promise<void> {
  const log = options.log ?? (() => undefined);
  const paths = await prepareEmbeddedPaths(options.dataDir);
  await withDirectoryLock(lockOf(paths, options.signal), async () => {
    const [redis, database] = await Promise.all([findRedis(paths), findMariadb(paths)]);
    await Promise.all([
      endProcesses(redis, REDIS_STOP_MS, log),
      endProcesses(database, DATABASE_STOP_MS, log),
    ]);
    await removeRunFiles(paths);
  });
}

/** Says for each server whether it runs and answers. Changes nothing. */
export async function embeddedStatus(options: {
  dataDir: string;
}): Promise<{ redis: ServiceStatus; database: ServiceStatus }> {
  const paths = await readEmbeddedPaths(options.dataDir);
  const [redis, database] = await Promise.all([
    statusOf(await findRedis(paths), () => pingRedis(paths.redisSocket)),
    statusOf(await findMariadb(paths), () => pingMariadb(paths.databaseSocket)),
  ]);
  return {
    redis: { ...redis, socketPath: paths.redisSocket, logFile: paths.redisLog },
    database: { ...database, socketPath: paths.databaseSocket, logFile: paths.databaseLog },
  };
}

async function statusOf(
  [pid]: readonly number[],
  ping: () => Promise<void>,
): Promise<Pick<ServiceStatus, 'state' | 'pid'>> {
  if (pid === undefined) return { state: 'stopped' };
  const state = await ping().then(
    () => 'running' as const,
    () => 'not_answering' as const,
  );
  return { state, pid };
}

function lockOf(paths: EmbeddedPaths, signal: AbortSignal | undefined) {
  return { runDir: paths.runDir, purpose: 'embedded', timeoutMs: LOCK_TIMEOUT_MS, signal };
}

type Begun = Pick<Started, 'pid' | 'adopted'>;

function redisFacts({ redisSocket }: EmbeddedPaths, begun: Begun): Servers['redis'] {
  return { ...begun, socketPath: redisSocket, url: `unix://${urlPath(redisSocket)}` };
}

function databaseFacts({ databaseSocket }: EmbeddedPaths, begun: Begun): Servers['database'] {
  return {
    ...begun,
    socketPath: databaseSocket,
    name: DATABASE_NAME,
    user: DATABASE_USER,
    url: `mariadb://${DATABASE_USER}@localhost/${DATABASE_NAME}?socketPath=${urlPath(databaseSocket)}`,
  };
}

/** Percent-encodes what has a meaning in a URL, but leaves the slashes readable. */
function urlPath(path: string): string {
  return encodeURIComponent(path).replaceAll('%2F', '/');
}

function describe({ pid, adopted }: { pid: number; adopted: boolean }): string {
  return adopted ? `runs already (pid ${pid})` : `was started (pid ${pid})`;
}

/** What a killed server leaves behind. */
async function removeRunFiles(paths: EmbeddedPaths): Promise<void> {
  const files = [paths.redisSocket, paths.databaseSocket];
  const pidFiles = ['redis.pid', 'mariadb.pid'].map((name) => `${paths.runDir}/${name}`);
  for (const file of [...files, ...pidFiles]) await rm(file, { force: true });
  await removeSocketDir(paths);
}
