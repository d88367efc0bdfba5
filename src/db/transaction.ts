import type { DataSource, EntityManager } from 'typeorm';
import { asStrataError, StrataError } from '../shared/errors.js';

const MOST_TRIES = 5;

/** Numbers of MySQL/MariaDB: ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK; both roll back and may be tried again whole. */
const TRY_AGAIN = new Set([1205, 1213]);
/** Client side: the connection was refused or lost, or the server is going away or has too many connections. */
const UNAVAILABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ETIMEDOUT',
  'PROTOCOL_CONNECTION_LOST',
  'ER_SERVER_SHUTDOWN',
  'ER_CON_COUNT_ERROR',
  'ER_CONNECTION_KILLED',
  'POOL_CLOSED',
]);

/**
 * Runs `work` in one READ COMMITTED transaction and again when the database chose it as a deadlock's victim.
 * `work` must therefore do nothing but SQL. Locks are taken in the order chain -> job -> restore point.
 * @throws database_unavailable when the connection is lost; whether a commit had happened is then unknown
 */
export async function inTransaction<T>(ds: DataSource, work: (tx: EntityManager) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ds.transaction('READ COMMITTED', work);
    } catch (error) {
      if (attempt < MOST_TRIES && TRY_AGAIN.has(driverErrno(error) ?? 0)) continue;
      throw asDatabaseError(error);
    }
  }
}

/** Keeps a StrataError; makes `database_unavailable` of a lost connection and `internal` of the rest. */
export function asDatabaseError(error: unknown): StrataError {
  if (error instanceof StrataError) return error;
  const code = driverField(error, 'code');
  const fatal = driverField(error, 'fatal') === true;
  if (fatal || (typeof code === 'string' && UNAVAILABLE.has(code))) {
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

/** Demands that exactly one row was matched. */
export function expectOneRow(result: unknown, refusal: () => StrataError): void {
  if (affectedRows(result) !== 1) throw refusal();
}
