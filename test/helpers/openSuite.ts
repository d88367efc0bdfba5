import type { DataSource } from 'typeorm';
import { MIGRATIONS } from '../../migrations/index.js';
import { parseDatabaseUrl } from '../../src/config/addresses.js';
import { openDatabase } from '../../src/db/dataSource.js';
import type { TestServers } from './servers.js';
import { createSuite, type Suite } from './suite.js';

/** A suite with a migrated database and a connection to it. */
export interface DatabaseSuite extends Suite {
  ds: DataSource;
}

/** Opens a suite whose database has the newest schema; `close` also closes the connection. */
export async function openDatabaseSuite(services?: TestServers): Promise<DatabaseSuite> {
  const suite = await createSuite(services ? { services } : {});
  const ds = await openDatabase({
    address: parseDatabaseUrl(suite.databaseUrl),
    migrations: MIGRATIONS,
    poolSize: 20,
  });
  await ds.runMigrations();
  return {
    ...suite,
    ds,
    close: async () => {
      await ds.destroy();
      await suite.close();
    },
  };
}
