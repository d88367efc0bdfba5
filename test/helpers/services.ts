import { rm } from 'node:fs/promises';
import type { RowDataPacket } from 'mysql2/promise';
import { join } from 'node:path';
import { asAdministrator } from '../../src/main/embedded/mariadb.js';
import { startServers, stopServers, TEST_DATABASE_PREFIX, type TestServers } from './servers.js';
import { testRun } from './testRun.js';

interface NameRow extends RowDataPacket {
  name: string;
}

const dataDir = join(testRun.serverDir, 'services');
let started: Promise<TestServers> | undefined;

/** The run's private Redis and database, started at the first call. They end with the run, even with a killed one. */
export function testServices(): Promise<TestServers> {
  started ??= startServers(dataDir);
  return started;
}

/** Names of the suites' databases that have not been dropped. */
export async function leftDatabases(): Promise<string[]> {
  if (!started) return [];
  const { database } = await started;
  return asAdministrator(database.socketPath, async (connection) => {
    const [rows] = await connection.query<NameRow[]>(
      'SELECT schema_name AS name FROM information_schema.schemata WHERE schema_name LIKE ?',
      [`${TEST_DATABASE_PREFIX.replaceAll('_', '\\_')}%`],
    );
    return rows.map(({ name }) => name);
  });
}

/** Stops the services, if they were started, and removes their files. May be called again. */
export async function stopTestServices(): Promise<void> {
  if (!started) return;
  started = undefined;
  await stopServers(dataDir);
  await rm(dataDir, { recursive: true, force: true });
}

// Without the run's hooks (a single file run by hand) the services still end with the tests.
// When the hooks load this file, mocha has not put its functions there yet.
if ('after' in globalThis) after(stopTestServices);
