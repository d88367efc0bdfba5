import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Redis } from 'ioredis';
import type { DataSource } from '../db/database.js';
import { parseDatabaseUrl } from '../config/addresses.js';
import { readSettings, type Settings } from '../config/settings.js';
import { openDatabase } from '../db/dataSource.js';
import { createLogger, type Logger } from '../observability/logger.js';
import { createMetrics, type Metrics } from '../observability/metrics.js';
import { type Backlog, createBacklog } from '../producers/accept/index.js';
import { connectRedis } from '../queue/connection.js';
import { createQueueSet, type QueueSet } from '../queue/deliver.js';
import { createSourceIdentities, type SourceIdentities } from '../services/backup/sameSource.js';
import { createSourceLook, type SourceLook } from '../services/backup/lookAtSource.js';
import { StrataError } from '../shared/errors.js';
import { systemClock } from '../shared/clock.js';
import { createShutdown, type Shutdown } from './shutdown.js';

/** The folder with package.json, seen from `dist/src/main`. */
export const PROJECT_DIR = resolve(fileURLToPath(import.meta.url), '../../../..');

/** What every long-running process has. */
export interface Wiring {
  settings: Settings;
  log: Logger;
  metrics: Metrics;
  shutdown: Shutdown;
  ds: DataSource;
  /** Connection for adding to queues and asking them. */
  redis: Redis;
  queue: QueueSet;
  backlog: Backlog;
  sourceLook: SourceLook;
  sourceIdentities: SourceIdentities;
  clock: typeof systemClock;
  /** Names this process in leases: host, pid and a random part, because pids come again. */
  owner: string;
}

/** Settings and logger: enough to say what is wrong with the rest. */
export function readProcess(role: string): { settings: Settings; log: Logger } {
  const settings = readSettings(process.env, PROJECT_DIR);
  return { settings, log: createLogger({ level: settings.logLevel, role, pretty: settings.logPretty }) };
}

/** Connects a process to its database and Redis; everything is closed by `shutdown`, in reverse order. */
export async function wire(role: string, settings: Settings, log: Logger): Promise<Wiring> {
  const { databaseUrl, redisUrl } = settings;
  if (!databaseUrl || !redisUrl) {
    throw new StrataError(
      'invalid_configuration',
      'STRATA_DATABASE_URL and STRATA_REDIS_URL must be set for this process; `strata up` sets them for the embedded services.',
    );
  }
  const shutdown = createShutdown(log, { graceMs: settings.graceMs });
  const ds = await openDatabase({
    address: parseDatabaseUrl(databaseUrl),
    answerMs: settings.answerMs,
  });
  shutdown.onClose('database', () => ds.destroy());
  const onError = (error: Error) => log.warn({ err: error }, 'redis');
  const redis = connectRedis(
    { url: redisUrl },
    {
      use: 'producer',
      onError,
      answerMs: settings.answerMs,
    },
  );
  shutdown.onClose('redis', () => redis.disconnect());
  const queue = createQueueSet(redis, settings.redisPrefix, systemClock);
  shutdown.onClose('queues', () => queue.close());
  const owner = `${hostname()}:${process.pid}:${randomBytes(4).toString('hex')}`;
  return {
    settings,
    log,
    metrics: createMetrics(role),
    shutdown,
    ds,
    redis,
    queue,
    backlog: createBacklog(settings.backlogLimit, systemClock),
    sourceLook: createSourceLook(),
    sourceIdentities: createSourceIdentities(systemClock),
    clock: systemClock,
    owner,
  };
}
