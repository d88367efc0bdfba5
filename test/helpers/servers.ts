import { type EmbeddedServices, startEmbedded, stopEmbedded } from '../../src/main/embedded/index.js';
import { asAdministrator } from '../../src/main/embedded/mariadb.js';
import { prepareEmbeddedPaths } from '../../src/main/embedded/paths.js';
import { startMysql, stopMysql } from './mysql.js';

/** A Redis and a database server of a test's own, or of the run's. */
export type TestServers = Pick<EmbeddedServices, 'redis' | 'database'>;

/** Databases of suites; the servers' user may do everything in them. */
export const TEST_DATABASE_PREFIX = 'strata_t_';

/** A mysqld in place of the embedded MariaDB (docs/testing.md). */
const MYSQLD = process.env.STRATA_TEST_MYSQLD || undefined;

/** True where the tests run against MySQL. */
export const onMysql = MYSQLD !== undefined;

/** Starts both servers on a data directory, or those of them that do not run. */
export async function startServers(dataDir: string): Promise<TestServers> {
  const servers = MYSQLD ? await startWithMysql(dataDir, MYSQLD) : await startEmbedded({ dataDir });
  const { socketPath, user } = servers.database;
  await asAdministrator(socketPath, async (connection) => {
    await connection.query(
      `GRANT ALL PRIVILEGES ON \`${TEST_DATABASE_PREFIX}%\`.* TO ${user}@localhost WITH GRANT OPTION`,
    );
  });
  return servers;
}

/** Stops what runs on the data directory. */
export async function stopServers(dataDir: string): Promise<void> {
  if (onMysql) await stopMysql(await prepareEmbeddedPaths(dataDir));
  await stopEmbedded({ dataDir });
}

async function startWithMysql(dataDir: string, program: string): Promise<TestServers> {
  const paths = await prepareEmbeddedPaths(dataDir);
  const { redis } = await startEmbedded({ dataDir, only: ['redis'] });
  return { redis, database: await startMysql(paths, program) };
}
