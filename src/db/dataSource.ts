import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { Pool, TypeCastField, TypeCastNext } from 'mysql2';
import { createConnection } from 'mysql2/promise';
import { DataSource, type MigrationInterface } from '../entities/orm.js';
import * as entities from '../entities/index.js';
import { StrataError } from '../shared/errors.js';
import { endWhenSilent } from '../shared/silence.js';
import { refuseUndone } from './undoneStatements.js';

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
  /**
   * Milliseconds after which a server that does not answer counts as gone, at least 1000; undefined for statements that
   * may take any time, such as migrations.
   */
  answerMs?: number;
}

/**
 * Connects to MySQL 8 or MariaDB 10.6+ and says which of the two it is, because TypeORM's schema differs.
 * @throws database_unavailable when it does not answer
 */
export async function openDatabase(options: OpenDatabaseOptions): Promise<DataSource> {
  const type = await probeServer(options);
  const dataSource = createDataSource(type, options);
  refuseUndone(dataSource);
  try {
    await dataSource.initialize();
    await prepareSessions(dataSource, type, options.answerMs);
    return dataSource;
  } catch (error) {
    throw new StrataError('database_unavailable', 'The database refused the connection.', { cause: error });
  }
}

/** The server speaks first, so that a connection on which nothing comes is not one that owes an answer. */
const CONNECT_MS = 10_000;

/** Seconds that a statement waits for a row at most, and that a transaction may do nothing. */
const LOCK_WAIT_SECONDS = 10;
const IDLE_TRANSACTION_SECONDS = 10;

/**
 * MySQL can bound the silence of a session only, in a transaction or not. So the pool ends what it has not used for
 * IDLE_CONNECTION_MS long before the server would: only a process that stands still meets the server's limit.
 */
const SILENT_SESSION_SECONDS = 20;
const IDLE_CONNECTION_MS = 5_000;

/**
 * On by default since MariaDB 11.6. A statement that looks something up and then waits for a lock, as `... WHERE id = (SELECT ...) FOR
 * UPDATE` does, then fails because the row has changed meanwhile (findings/mariadb-snapshot-isolation.sh). Strata takes
 * a lock in order to see what its holder has committed, as older servers and MySQL show it.
 */
const SNAPSHOT_ISOLATION = 'innodb_snapshot_isolation';

/**
 * Makes every session READ COMMITTED, once, because a transaction that counts under a lock must see what the holder
 * before it has committed (`inTransaction`). And bounds what one process can do to the others: a worker that is frozen in
 * the middle of a transaction would keep its row locks for as long as it stays frozen. The server ends such a transaction.
 */
async function prepareSessions(
  dataSource: DataSource,
  type: 'mysql' | 'mariadb',
  answerMs = Number.POSITIVE_INFINITY,
): Promise<void> {
  // A server that waits for a row must not be taken for one that is gone.
  const lockWait = Math.max(1, Math.min(LOCK_WAIT_SECONDS, Math.floor(answerMs / 3_000)));
  const idle =
    type === 'mariadb'
      ? `, idle_transaction_timeout = ${IDLE_TRANSACTION_SECONDS}`
      : // A migration's connection holds the lock of all migrations, and says nothing while they run on another one.
        Number.isFinite(answerMs)
        ? `, wait_timeout = ${SILENT_SESSION_SECONDS}`
        : '';
  const conflicts = (await hasVariable(dataSource, SNAPSHOT_ISOLATION))
    ? `, ${SNAPSHOT_ISOLATION} = OFF`
    : '';
  const statements = [
    'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
    `SET SESSION innodb_lock_wait_timeout = ${lockWait}${idle}${conflicts}`,
  ];
  const { pool } = dataSource.driver as unknown as { pool: Pool };
  // Statements of one connection run in order: these come before whatever the connection was opened for.
  pool.on('connection', (connection) => {
    // The pool listens once, to drop it; a second error (one more write to a lost server) would end the process.
    connection.on('error', () => undefined);
    for (const statement of statements) {
      connection.query(statement, (error) => {
        // Without them nothing may run on it; the statement of whoever wanted it fails.
        if (error) connection.destroy();
      });
    }
  });
  // The one that `initialize` has opened.
  for (const statement of statements) await dataSource.query(statement);
}

async function hasVariable(dataSource: DataSource, name: string): Promise<boolean> {
  return (await dataSource.query<unknown[]>('SHOW VARIABLES LIKE ?', [name])).length > 0;
}

function createDataSource(type: 'mysql' | 'mariadb', options: OpenDatabaseOptions): DataSource {
  const { address, migrations = [], poolSize = 10, answerMs = CONNECT_MS } = options;
  return new DataSource({
    type,
    ...serverOf(address),
    username: address.user,
    ...(address.password === undefined ? {} : { password: address.password }),
    database: address.name,
    charset: 'utf8mb4',
    // Every DATETIME is UTC, whatever the session's time zone is; SQL uses UTC_TIMESTAMP(3) only.
    timezone: 'Z',
    supportBigNumbers: true,
    bigNumberStrings: true,
    poolSize,
    connectTimeout: Math.min(CONNECT_MS, answerMs),
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
    extra: { stream: () => openSocket(options), ...(type === 'mysql' ? onMysql(poolSize) : {}) },
  });
}

/** What an INT has room for, its sign included. */
const INT_DIGITS = 11;

/** What the driver needs on MySQL, and not on MariaDB. */
function onMysql(poolSize: number) {
  return {
    typeCast: castTruth,
    // The pool looks for idle connections only where it may keep fewer than it may open.
    maxIdle: poolSize - 1,
    idleTimeout: IDLE_CONNECTION_MS,
    gracefulEnd: true,
  };
}

/**
 * Whether a comparison holds, or a small constant, is an INT in MariaDB's answers, and in MySQL's a BIGINT of a digit or
 * two, which would be the string '0': true in JavaScript. A column of type BIGINT has room for 20 digits, a count for 21.
 */
function castTruth(field: TypeCastField, next: TypeCastNext): unknown {
  if (field.type !== 'LONGLONG' || field.length > INT_DIGITS) return next();
  const text = field.string();
  return text === null ? null : Number(text);
}

function serverOf({ socketPath, host = 'localhost', port = 3306 }: DatabaseAddress) {
  return socketPath === undefined ? { host, port } : { socketPath };
}

/** The driver has no time limit for an answer, so the connection is ours. */
function openSocket({ address, answerMs }: OpenDatabaseOptions): Socket {
  const server = serverOf(address);
  const socket = connect('socketPath' in server ? { path: server.socketPath } : server);
  socket.setNoDelay(true);
  if (answerMs !== undefined) endWhenSilent(socket, 'The database', answerMs);
  return socket;
}

async function probeServer(options: OpenDatabaseOptions): Promise<'mysql' | 'mariadb'> {
  const { address } = options;
  if (address.socketPath && !existsSync(address.socketPath)) {
    throw new StrataError('database_unavailable', `There is no database socket at ${address.socketPath}.`);
  }
  try {
    const connection = await createConnection({
      stream: openSocket(options),
      // Says to the driver that the connection is private: caching_sha2_password then sends the password as it is.
      ...(address.socketPath === undefined ? {} : { socketPath: address.socketPath }),
      user: address.user,
      ...(address.password === undefined ? {} : { password: address.password }),
      database: address.name,
      connectTimeout: CONNECT_MS,
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
      `The database cannot be used: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
}
