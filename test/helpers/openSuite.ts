import type { DataSource } from 'typeorm';
import { MIGRATIONS } from '../../migrations/index.js';
import { parseDatabaseUrl } from '../../src/config/addresses.js';
import { openDatabase } from '../../src/db/dataSource.js';
import { applySchema, readSchema, type SchemaCopy } from './schemaCopy.js';
import type { TestServers } from './servers.js';
import { createSuite, type Suite } from './suite.js';

/** A suite with a migrated database and a connection to it. */
export interface DatabaseSuite extends Suite {
  ds: DataSource;
}

/**
 * The schema of each server, as the first suite found it: to run all migrations costs a suite five times what a copy of what
 * they came to does, and hundreds of suites open in a run.
 */
const schemas = new Map<string, SchemaCopy>();

/**
 * Opens a suite whose database has the newest schema; `close` also closes the connection.
 * @param options.byMigrations it must come from the migrations themselves, not from a copy of what they came to
 */
export async function openDatabaseSuite(
  services?: TestServers,
  options: { byMigrations?: boolean } = {},
): Promise<DatabaseSuite> {
  const suite = await createSuite(services ? { services } : {});
  const { databaseSocketPath, databaseName } = suite;
  const known = options.byMigrations ? undefined : schemas.get(databaseSocketPath);
  if (known !== undefined) await applySchema(databaseSocketPath, databaseName, known);
  const ds = await openDatabase({
    address: parseDatabaseUrl(suite.databaseUrl),
    migrations: MIGRATIONS,
    poolSize: 20,
  });
  if (known === undefined) {
    await ds.runMigrations();
    schemas.set(databaseSocketPath, await readSchema(databaseSocketPath, databaseName));
  }
  return {
    ...suite,
    ds,
    close: async () => {
      await ds.destroy();
      await suite.close();
    },
  };
}
