import type { DataSource } from 'typeorm';
import { parseJson } from '../job/journal.js';
import { affectedRows, asking } from '../transaction.js';
import { select } from '../page.js';

/** A process counts as alive for this long after its last heartbeat, by the database's clock. */
export const LIVE_SECONDS = 60;

/** What a process says of itself with every heartbeat. */
export interface ProcessFacts {
  id: string;
  role: string;
  host: string;
  pid: number;
  pools: string[];
  /** host:port of its Prometheus endpoint. */
  metricsAddress: string | null;
}

export interface LiveProcess extends ProcessFacts {
  startedAt: Date;
  heartbeatAt: Date;
}

/** Tells that the process is alive; the first call is its start. */
export async function heartbeat(ds: DataSource, facts: ProcessFacts): Promise<void> {
  await asking(() =>
    ds.query(
      `INSERT INTO fleet_processes (id, role, host, pid, pools, metrics_address, started_at, heartbeat_at)
       VALUES (?, ?, ?, ?, ?, ?, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3))
       ON DUPLICATE KEY UPDATE pools = VALUES(pools), metrics_address = VALUES(metrics_address),
         heartbeat_at = VALUES(heartbeat_at)`,
      [facts.id, facts.role, facts.host, facts.pid, JSON.stringify(facts.pools), facts.metricsAddress],
    ),
  );
}

/** Tells that the process ends in good order. */
export async function leaveFleet(ds: DataSource, id: string): Promise<void> {
  await select(ds, 'DELETE FROM fleet_processes WHERE id = ?', [id]);
}

/** Forgets processes that have been silent for `hours` hours. */
export async function forgetDeadProcesses(ds: DataSource, hours: number): Promise<number> {
  const result = await asking(() =>
    ds.query<unknown>('DELETE FROM fleet_processes WHERE heartbeat_at < UTC_TIMESTAMP(3) - INTERVAL ? HOUR', [
      hours,
    ]),
  );
  return affectedRows(result);
}

interface Row {
  id: string;
  role: string;
  host: string;
  pid: number;
  pools: unknown;
  metrics_address: string | null;
  started_at: Date;
  heartbeat_at: Date;
}

/** The processes of the fleet that are alive, by role. */
export async function liveProcesses(ds: DataSource): Promise<LiveProcess[]> {
  const rows = await select<Row>(
    ds,
    `SELECT id, role, host, pid, pools, metrics_address, started_at, heartbeat_at FROM fleet_processes
     WHERE heartbeat_at > UTC_TIMESTAMP(3) - INTERVAL ${LIVE_SECONDS} SECOND ORDER BY role, id`,
  );
  return rows.map((row) => ({
    id: row.id,
    role: row.role,
    host: row.host,
    pid: row.pid,
    pools: parseJson<string[]>(row.pools),
    metricsAddress: row.metrics_address,
    startedAt: row.started_at,
    heartbeatAt: row.heartbeat_at,
  }));
}
