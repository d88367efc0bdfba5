import { databaseNow } from '../../db/job/changes.js';
import { abortable, withDeadline } from '../../shared/abort.js';
import { asStrataError, StrataError } from '../../shared/errors.js';
import type { HttpDeps } from './deps.js';

/** A service that takes longer is as good as gone for who asks. */
const PATIENCE_MS = 2_000;

/**
 * Asks database and Redis for an answer.
 * @throws database_unavailable or queue_unavailable, with one field for each that does not answer
 */
export async function checkReadiness(deps: Pick<HttpDeps, 'ds' | 'pingRedis'>): Promise<void> {
  const [database, redis] = await Promise.all([
    answers('database', () => databaseNow(deps.ds)),
    answers('redis', deps.pingRedis),
  ]);
  if (database === undefined && redis === undefined) return;
  const fields = [
    ...(database === undefined ? [] : [{ field: 'database', message: 'does not answer' }]),
    ...(redis === undefined ? [] : [{ field: 'redis', message: 'does not answer' }]),
  ];
  const code = database === undefined ? 'queue_unavailable' : 'database_unavailable';
  throw new StrataError(code, 'Not ready: see errors.', { fields, cause: database ?? redis });
}

async function answers(what: string, ask: () => Promise<unknown>): Promise<StrataError | undefined> {
  const deadline = withDeadline(undefined, PATIENCE_MS, what);
  try {
    await abortable(ask(), deadline.signal);
    return undefined;
  } catch (error) {
    return asStrataError(error);
  } finally {
    deadline.clear();
  }
}
