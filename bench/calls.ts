import type { TestFleet } from '../test/helpers/fleet.js';
import { median } from './numbers.js';

/** What some work asked of the servers. */
export interface Calls {
  /** Statements, as the database counts its questions. */
  sql: number;
  /** Lua scripts that clients called, and all commands, with those that the scripts ran. */
  scripts: number;
  commands: number;
}

export type CallsOfBoth = Record<'ours' | 'theirs', Calls>;

/** Counts, by the servers' own counters, what `work` costs. Nothing else may run meanwhile. */
export async function countCalls(fleet: TestFleet, work: () => Promise<void>): Promise<Calls> {
  const before = await readCounters(fleet);
  await work();
  const after = await readCounters(fleet);
  return {
    sql: after.sql - before.sql,
    scripts: after.scripts - before.scripts,
    commands: after.commands - before.commands,
  };
}

/** Medians of the rounds, for one job. */
export function perJob(rounds: readonly Calls[], jobs: number): Calls {
  const of = (name: keyof Calls) => median(rounds.map((calls) => calls[name])) / jobs;
  return { sql: of('sql'), scripts: of('scripts'), commands: of('commands') };
}

async function readCounters({ suite, worker }: TestFleet): Promise<Calls> {
  const [row] = await suite.ds.query<{ Value: string }[]>(`SHOW GLOBAL STATUS LIKE 'Questions'`);
  const stats = await worker.redis.info('commandstats');
  let scripts = 0;
  let commands = 0;
  // Lines such as `cmdstat_evalsha:calls=31,usec=1046,...`.
  for (const [, command = '', calls] of stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)) {
    commands += Number(calls);
    if (command.startsWith('eval')) scripts += Number(calls);
  }
  return { sql: Number(row?.Value), scripts, commands };
}
