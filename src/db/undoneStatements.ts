import type { DataSource, QueryRunner } from 'typeorm';
import { StrataError } from '../shared/errors.js';

/** What the driver gives for a statement that answers with no rows. */
interface Answer {
  affectedRows: number;
  info: string;
}

/**
 * MariaDB 11.8 answers an UPDATE or a DELETE of one table with success and no rows, and has not begun it, when a KILL QUERY
 * comes just before it (findings/mariadb-kill-answered-with-success.sh). The rest of the transaction would be committed
 * without it. All statements of the data source are therefore looked at here:
 * an UPDATE that was done says how many rows it matched, also where these are none. One that does not say so is refused as what it
 * is, a statement that was killed. A DELETE says nothing of the kind, so one that found nothing is sent once more.
 */
export function refuseUndone(dataSource: DataSource): void {
  const create = dataSource.createQueryRunner.bind(dataSource);
  // Not every proxy passes the words of an answer on.
  const server = { saysWhatMatched: false };
  dataSource.createQueryRunner = (mode) => {
    const runner = create(mode);
    const send = runner.query.bind(runner) as (...args: unknown[]) => Promise<unknown>;
    const query = async (statement: string, ...rest: unknown[]) => {
      const first = await send(statement, ...rest);
      const answer = answerOf(first);
      if (answer === undefined) return first;
      if (answer.info !== '' && isA('UPDATE', statement)) server.saysWhatMatched = true;
      if (answer.affectedRows > 0 || answer.info !== '') return first;
      if (isA('UPDATE', statement) && server.saysWhatMatched) throw interrupted();
      return isA('UPDATE', statement) || isA('DELETE', statement) ? send(statement, ...rest) : first;
    };
    runner.query = query as QueryRunner['query'];
    return runner;
  };
}

/** Of what `query` gives, with TypeORM's wrapping or without; undefined for rows. */
function answerOf(result: unknown): Answer | undefined {
  const raw = (result as { raw?: unknown } | undefined)?.raw ?? result;
  if (typeof raw !== 'object' || raw === null || !('affectedRows' in raw)) return undefined;
  const { affectedRows, info } = raw as { affectedRows: number; info?: string };
  return { affectedRows, info: info ?? '' };
}

function isA(verb: 'UPDATE' | 'DELETE', statement: string): boolean {
  return statement.trimStart().slice(0, verb.length).toUpperCase() === verb;
}

function interrupted(): StrataError {
  return new StrataError('database_unavailable', 'The database ended a statement before it began.');
}
