import { existsSync } from 'node:fs';
import type { Pool } from 'mysql2';
import { createConnection } from 'mysql2/promise';
import { DataSource, type MigrationInterface } from 'typeorm';
import * as entities from '../entities/index.js';
import { StrataError } from '../shared/errors.js';

type MigrationClass = new () => MigrationInterface;

/** Where the database is; `mariadb://user:password@host:port/name` or `...@localhost/name?socketPath=/path`. */
export interface DatabaseAddress {
  host?: string;
  port?: number;
  socketPath?: string;
  user: string;
  password?: string;
  name: string;
}

export interface OpenDatabaseOptions {
  address: DatabaseAddress;
  migrations?: MigrationClass[];
  /** Connections in the pool. */
  poolSize?: number;
}

/**
 * Connects to MySQL 8 or MariaDB 10.6+ and says which of the two it is, because TypeORM's schema differs.
 * @throws database_unavailable when it does not answer
 */
export async function openDatabase(options: OpenDatabaseOptions): Promise<DataSource> {
  const type = await probeServer(options.address);
  const dataSource = createDataSource(type, options);
  try {
    await dataSource.initialize();
    await prepareSessions(dataSource, type);
    return dataSource;
  } catch (error) {
    throw new StrataError('database_unavailable', 'The database refused the connection.', { cause: error });
  }
}

/** Seconds that a statement waits for a row, and that a transaction may do nothing. */
const LOCK_WAIT_SECONDS = 10;
const IDLE_TRANSACTION_SECONDS = 10;

/**
 * Makes every session READ COMMITTED, once, because a transaction that counts under a lock must see what the holder
 * before it has committed (`inTransaction`). And bounds what one process can do to the others: a worker that is frozen in
 * the middle of a transaction would keep its row locks for as long as it stays frozen. MariaDB ends such a transaction;
 * MySQL has no such setting.
 */
async function prepareSessions(dataSource: DataSource, type: 'mysql' | 'mariadb'): Promise<void> {
  const idle = type === 'mariadb' ? `, idle_transaction_timeout = ${IDLE_TRANSACTION_SECONDS}` : '';
  const statements = [
    'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
    `SET SESSION innodb_lock_wait_timeout = ${LOCK_WAIT_SECONDS}${idle}`,
  ];
  const { pool } = dataSource.driver as unknown as { pool: Pool };
  // Statements of one connection run in order: these come before whatever the connection was opened for.
  pool.on('connection', (connection) => {
    for (const statement of statements) {
      connection.query(statement, (error) => {
        // Without them nothing may run on it; whoever wanted it is told by his own statement.
        if (error) connection.destroy();
      });
    }
  });
  // The one that `initialize` has opened.
  for (const statement of statements) await dataSource.query(statement);
}

function createDataSource(type: 'mysql' | 'mariadb', options: OpenDatabaseOptions): DataSource {
  const { address, migrations = [], poolSize = 10 } = options;
  return new DataSource({
    type,
    ...(address.socketPath
      ? { socketPath: address.socketPath }
      : { host: address.host ?? 'localhost', port: address.port ?? 3306 }),
    username: address.user,
    ...(address.password === undefined ? {} : { password: address.password }),
    database: address.name,
    charset: 'utf8mb4',
    // Every DATETIME is UTC, whatever the session's time zone is; SQL uses UTC_TIMESTAMP(3) only.
    timezone: 'Z',
    supportBigNumbers: true,
    bigNumberStrings: true,
    poolSize,
    connectTimeout: 10_000,
    entities: Object.values(entities).filter(
      (value): value is Exclude<typeof value, readonly string[]> =>
        typeof value === 'function' && value !== entities.ChainJob,
    ),
    migrations,
    migrationsTableName: 'schema_migrations',
    synchronize: false,
    logging: false,
    // mysql2 would note a stack for each statement (a tenth of a statement's processor time); TypeORM's errors have one.
    trace: false,
    extra: { enableKeepAlive: true },
  });
}

async function probeServer(address: DatabaseAddress): Promise<'mysql' | 'mariadb'> {
  if (address.socketPath && !existsSync(address.socketPath)) {
    throw new StrataError('database_unavailable', `There is no database socket at ${address.socketPath}.`);
  }
  try {
    const connection = await createConnection({
      ...(address.socketPath
        ? { socketPath: address.socketPath }
        : { host: address.host ?? 'localhost', port: address.port ?? 3306 }),
      user: address.user,
      ...(address.password === undefined ? {} : { password: address.password }),
      database: address.name,
      connectTimeout: 10_000,
    });
    try {
      const [rows] = await connection.query('SELECT VERSION() AS version');
      const version = (rows as { version: string }[])[0]?.version ?? '';
      return /mariadb/i.test(version) ? 'mariadb' : 'mysql';
    } finally {
      await connection.end();
    }
  } catch (error) {
    throw new StrataError(
      'database_unavailable',
      `The database does not answer: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
}
