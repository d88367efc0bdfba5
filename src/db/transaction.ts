import type { PoolConnection } from 'mysql2';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { systemClock } from '../shared/clock.js';
import { asStrataError, StrataError } from '../shared/errors.js';

const MOST_TRIES = 8;
/** The victims of one deadlock must not meet again at once. */
const PAUSE_MS = 15;

/**
 * Numbers of MySQL/MariaDB: ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK, and ER_CHECKREAD ("Record has changed since last read"), which
 * a MariaDB gives whose sessions refuse to be told otherwise (dataSource.ts). After a rollback all of them may be tried again whole.
 */
const TRY_AGAIN = new Set([1020, 1205, 1213]);
/** The connection was refused or lost, the server is going away, full or read-only, or the locks never came free. */
const UNAVAILABLE = new Set([
  'ER_LOCK_DEADLOCK',
  'ER_LOCK_WAIT_TIMEOUT',
  'ER_TOO_MANY_USER_CONNECTIONS',
  'ER_OPTION_PREVENTS_STATEMENT',
  'ER_DISK_FULL',
  'ER_RECORD_FILE_FULL',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ETIMEDOUT',
  'PROTOCOL_CONNECTION_LOST',
  'ER_SERVER_SHUTDOWN',
  'ER_CON_COUNT_ERROR',
  'POOL_CLOSED',
]);
/**
 * The same by number, for which mysql2 3.24 has no name, or another on MariaDB: ER_QUERY_INTERRUPTED and
 * ER_CONNECTION_KILLED (an administrator's KILL), ER_STATEMENT_TIMEOUT and ER_QUERY_TIMEOUT (a limit of the server),
 * ER_READ_ONLY_MODE, ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, ER_CLIENT_INTERACTION_TIMEOUT.
 */
const UNAVAILABLE_NUMBERS = new Set([1020, 1317, 1927, 1969, 3024, 1836, 1792, 4031]);

/**
 * Runs `work` in one transaction, READ COMMITTED as the session is (dataSource.ts), and again when the database chose it as a deadlock's victim.
 * `work` must therefore do nothing but SQL. Locks are taken in the order chain -> job -> restore point.
 * @throws database_unavailable when the connection is lost; whether a commit had happened is then unknown
 */
export async function inTransaction<T>(ds: DataSource, work: (tx: EntityManager) => Promise<T>): Promise<T> {
  return untilNoVictim(() => transact(ds, work));
}

/** As DataSource.transaction, but for a rollback that fails. */
async function transact<T>(ds: DataSource, work: (tx: EntityManager) => Promise<T>): Promise<T> {
  const runner = ds.createQueryRunner();
  try {
    await runner.connect();
    await runner.startTransaction();
    const result = await work(runner.manager);
    await runner.commitTransaction();
    return result;
  } catch (error) {
    if (runner.isTransactionActive) await rollBack(runner);
    throw error;
  } finally {
    await runner.release();
  }
}

/**
 * A KILL QUERY that meets COMMIT or ROLLBACK leaves the transaction open (MariaDB 10.11). Back in the pool, its connection
 * would hold its locks, and take in what the next ones change; all of it would be committed or undone together some day.
 */
async function rollBack(runner: QueryRunner): Promise<void> {
  try {
    await runner.rollbackTransaction();
  } catch {
    // The server rolls back what a connection leaves behind. The error that led here has the cause.
    ((await runner.connect()) as PoolConnection).destroy();
  }
}

/** Runs one statement that changes something, a transaction of its own, and again as `inTransaction` does. */
export async function inStatement<T>(work: () => Promise<T>): Promise<T> {
  return untilNoVictim(work);
}

async function untilNoVictim<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      // Also of a statement within that was asked by `asking`.
      const errno = driverErrno(error) ?? driverErrno((error as Error).cause);
      const mayPass = TRY_AGAIN.has(errno ?? 0);
      if (!mayPass || attempt >= MOST_TRIES) throw asDatabaseError(error);
      await systemClock.sleep(attempt * PAUSE_MS * (0.5 + Math.random()));
    }
  }
}

/** Runs queries outside of a transaction; what the driver throws becomes `database_unavailable` or `internal`. */
export async function asking<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asDatabaseError(error);
  }
}

/** Keeps a StrataError; makes `database_unavailable` of a lost connection and `internal` of the rest. */
export function asDatabaseError(error: unknown): StrataError {
  if (error instanceof StrataError) return error;
  const code = driverField(error, 'code');
  const fatal = driverField(error, 'fatal') === true;
  const listed = typeof code === 'string' && UNAVAILABLE.has(code);
  if (fatal || listed || UNAVAILABLE_NUMBERS.has(driverErrno(error) ?? 0)) {
    return new StrataError('database_unavailable', 'The database does not answer.', { cause: error });
  }
  return asStrataError(error);
}

/** True when a unique key refused the row; `key` narrows it to one constraint by name. */
export function isDuplicate(error: unknown, key?: string): boolean {
  if (driverErrno(error) !== 1062) return false;
  return key === undefined || (error as Error).message.includes(key);
}

/** True when a foreign key refused the deletion of a row that others refer to. */
export function isStillReferenced(error: unknown): boolean {
  return driverErrno(error) === 1451;
}

function driverErrno(error: unknown): number | undefined {
  const errno = driverField(error, 'errno');
  return typeof errno === 'number' ? errno : undefined;
}

function driverField(error: unknown, name: string): unknown {
  if (typeof error !== 'object' || error === null) return undefined;
  const own = (error as Record<string, unknown>)[name];
  return own ?? (error as { driverError?: Record<string, unknown> }).driverError?.[name];
}

/** `affectedRows` of an UPDATE or DELETE sent with `query`: rows matched, not rows changed. */
export function affectedRows(result: unknown): number {
  return (result as { affectedRows: number }).affectedRows;
}

/** The number that a statement has given: of an AUTO_INCREMENT column, or by LAST_INSERT_ID(expression). */
export function insertedId(result: unknown): number {
  return Number((result as { insertId: number | string }).insertId);
}

/** Demands that exactly one row was matched. */
export function expectOneRow(result: unknown, refusal: () => StrataError): void {
  if (affectedRows(result) !== 1) throw refusal();
}
