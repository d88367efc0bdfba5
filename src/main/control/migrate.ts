import { createHash } from 'node:crypto';
import type { DataSource } from '../../db/database.js';
import { abortReason } from '../../shared/abort.js';
import { systemClock } from '../../shared/clock.js';
import { StrataError } from '../../shared/errors.js';

/** A migration of a big catalogue may rebuild tables. */
const LOCK_TIMEOUT_MS = 600_000;
const LOCK_POLL_SECONDS = 1;

/**
 * Brings the schema to the newest state, one process at a time on the whole server, whichever host they run on.
 * @returns the names of the migrations that were run; none when the schema was up to date
 * @throws deadline_exceeded when another process keeps the lock for ten minutes
 */
export async function migrate(ds: DataSource, signal: AbortSignal | undefined): Promise<string[]> {
  // GET_LOCK belongs to a connection: this one is kept for as long as the migrations run on theirs.
  const holder = ds.createQueryRunner();
  const name = lockName(String(ds.options.database));
  try {
    await takeLock((sql, values) => holder.query(sql, values), name, signal);
    try {
      return (await ds.runMigrations()).map((migration) => migration.name);
    } finally {
      await holder.query('SELECT RELEASE_LOCK(?)', [name]);
    }
  } finally {
    await holder.release();
  }
}

/** Names of locks are the server's, not the database's, and MySQL takes 64 characters at most. */
function lockName(database: string): string {
  return `strata-migrate-${createHash('sha256').update(database).digest('hex').slice(0, 32)}`;
}

async function takeLock(
  query: (sql: string, values: unknown[]) => Promise<unknown>,
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const deadline = systemClock.monotonicMs() + LOCK_TIMEOUT_MS;
  for (;;) {
    const rows = (await query('SELECT GET_LOCK(?, ?) AS got', [name, LOCK_POLL_SECONDS])) as {
      got: unknown;
    }[];
    if (Number(rows[0]?.got) === 1) return;
    if (signal?.aborted) throw abortReason(signal);
    if (systemClock.monotonicMs() >= deadline) {
      throw new StrataError(
        'deadline_exceeded',
        'Another process migrates the database and does not finish.',
      );
    }
  }
}
