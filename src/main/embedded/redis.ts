import { Redis } from 'ioredis';
import { StrataError } from '../../shared/errors.js';
import { launchDaemon, waitUntilHealthy } from './daemon.js';
import type { EmbeddedPaths } from './paths.js';
import { findByDirectory } from './processes.js';

const PING_TIMEOUT_MS = 2000;
/** Loading a big append-only file takes its time. */
const START_TIMEOUT_MS = 60_000;

/** The pids of the redis-server of this data directory: one, or none. */
export function findRedis(paths: EmbeddedPaths): Promise<number[]> {
  return findByDirectory('redis-server', paths.redisDir);
}

/**
 * Starts the private Redis if it does not run, and waits until it answers.
 * Accepted work is in the database, so losing the last second of Redis (`everysec`) loses nothing: it is queued again.
 * @returns its pid, and whether it ran already
 * @throws service_failed
 */
export async function startRedis(
  paths: EmbeddedPaths,
  program: string,
  signal: AbortSignal | undefined,
): Promise<{ pid: number; adopted: boolean }> {
  const [running] = await findRedis(paths);
  // Started in its own directory, so that it is recognised from its first moment (findRedis).
  const files = { workingDir: paths.redisDir, logFile: paths.redisLog };
  const pid = running ?? (await launchDaemon(program, redisArguments(paths), files));
  await waitUntilHealthy({
    service: 'redis-server',
    pid,
    logFile: paths.redisLog,
    timeoutMs: START_TIMEOUT_MS,
    signal,
    ping: () => pingRedis(paths.redisSocket),
  });
  return { pid, adopted: running !== undefined };
}

function redisArguments(paths: EmbeddedPaths): string[] {
  const options = {
    port: '0',
    unixsocket: paths.redisSocket,
    unixsocketperm: '700',
    dir: paths.redisDir,
    daemonize: 'no',
    pidfile: `${paths.runDir}/redis.pid`,
    appendonly: 'yes',
    appendfsync: 'everysec',
    // A torn last entry after a power cut is cut off instead of refusing to start.
    'aof-load-truncated': 'yes',
    save: '',
    // BullMQ: an evicted key is a lost job.
    'maxmemory-policy': 'noeviction',
  };
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
}

/** One PING over the socket. @throws service_failed */
export async function pingRedis(socketPath: string): Promise<void> {
  const client = new Redis({
    path: socketPath,
    lazyConnect: true,
    connectTimeout: PING_TIMEOUT_MS,
    commandTimeout: PING_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  let reported: Error | undefined;
  client.on('error', (error: Error) => {
    reported = error;
  });
  try {
    await client.connect();
    await client.ping();
  } catch (error) {
    throw new StrataError('service_failed', 'Redis does not answer a PING.', { cause: reported ?? error });
  } finally {
    client.disconnect();
  }
}
