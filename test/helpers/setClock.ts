// Preloaded into a process under test (`node --import`): its wall clock, and the database's clock as it sees it, are ahead
// of the real ones by what the file STRATA_TEST_CLOCKS says (clocks.ts). Timers and the monotonic clock go on as they are,
// as they do on a host whose clock is set. The product asks the database's clock by UTC_TIMESTAMP(3) and nothing else.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Clocks } from './clocks.js';

const POLL_MS = 20;
const file = process.env.STRATA_TEST_CLOCKS ?? '';

let ahead: Clocks = { hostSeconds: 0, databaseSeconds: 0 };
const look = () => {
  ahead = JSON.parse(readFileSync(file, 'utf8')) as Clocks;
};
look();
setInterval(look, POLL_MS).unref();

const RealDate = Date;
const now = () => RealDate.now() + ahead.hostSeconds * 1000;
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args: [], newTarget) =>
    Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget) as object,
  apply: () => new RealDate(now()).toString(),
  get: (target, name) => (name === 'now' ? now : (Reflect.get(target, name) as unknown)),
});

const require = createRequire(import.meta.url);
type Query = (this: unknown, statement: unknown, ...rest: unknown[]) => unknown;
const { Connection } = require('mysql2') as { Connection: { prototype: { query: Query } } };
const { query } = Connection.prototype;
Connection.prototype.query = function (statement, ...rest) {
  return query.call(this, moved(statement), ...rest);
};

function moved(statement: unknown): unknown {
  if (typeof statement === 'string')
    return statement.replaceAll(
      'UTC_TIMESTAMP(3)',
      `(UTC_TIMESTAMP(3) + INTERVAL ${ahead.databaseSeconds} SECOND)`,
    );
  if (typeof statement === 'object' && statement !== null && 'sql' in statement)
    return { ...statement, sql: moved(statement.sql) };
  return statement;
}
