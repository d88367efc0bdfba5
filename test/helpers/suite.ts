import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { asAdministrator } from '../../src/main/embedded/mariadb.js';
import { TEST_DATABASE_PREFIX, type TestServers } from './servers.js';
import { testServices } from './services.js';
import { testRun } from './testRun.js';

/** What one suite has for itself. */
export interface Suite {
  /** `mariadb://strata@localhost/<own database>?socketPath=...` */
  databaseUrl: string;
  databaseName: string;
  databaseSocketPath: string;
  databaseUser: string;
  /** `unix:///.../redis.sock`, shared with the other suites: keep to `queuePrefix`. */
  redisUrl: string;
  redisSocketPath: string;
  /** Begins every Redis key of the suite; a hash tag, so that all keys of one queue fall together. */
  queuePrefix: string;
  /** An empty directory on a real disk. */
  tempDir: string;
  /** Drops the database, deletes the keys, removes the directory. Close your own connections before. */
  close: () => Promise<void>;
}

/**
 * Creates a suite's own database, queue prefix and directory: call it in `before`, and `close` in `after`.
 * @param options.migrate brings the empty database to the newest schema
 */
export async function createSuite(
  options: {
    migrate?: (databaseUrl: string) => Promise<unknown>;
    /** Servers of the suite's own, which it may kill; the run's by default. */
    services?: TestServers;
  } = {},
): Promise<Suite> {
  const { redis, database } = options.services ?? (await testServices());
  const id = randomBytes(5).toString('hex');
  const databaseName = `${TEST_DATABASE_PREFIX}${id}`;
  await administer(database.socketPath, `CREATE DATABASE ${databaseName}`);
  const suite: Suite = {
    databaseUrl: database.url.replace(`/${database.name}?`, `/${databaseName}?`),
    databaseName,
    databaseSocketPath: database.socketPath,
    databaseUser: database.user,
    redisUrl: redis.url,
    redisSocketPath: redis.socketPath,
    queuePrefix: `{t-${id}}`,
    tempDir: await mkdtemp(join(testRun.dir, 'suite-')),
    close: () => closeSuite(suite),
  };
  try {
    await options.migrate?.(suite.databaseUrl);
  } catch (error) {
    await closeSuite(suite);
    throw error;
  }
  return suite;
}

async function closeSuite(suite: Suite): Promise<void> {
  await administer(suite.databaseSocketPath, `DROP DATABASE IF EXISTS ${suite.databaseName}`);
  await deleteKeys(suite.redisSocketPath, suite.queuePrefix);
  await rm(suite.tempDir, { recursive: true, force: true });
}

function administer(socketPath: string, sql: string): Promise<void> {
  return asAdministrator(socketPath, async (connection) => {
    await connection.query(sql);
  });
}

async function deleteKeys(socketPath: string, prefix: string): Promise<void> {
  const redis = new Redis({ path: socketPath });
  try {
    let cursor = '0';
    do {
      const [next, names] = await redis.scan(cursor, 'MATCH', `*${prefix}*`, 'COUNT', 1000);
      if (names.length > 0) await redis.unlink(...names);
      cursor = next;
    } while (cursor !== '0');
  } finally {
    redis.disconnect();
  }
}
