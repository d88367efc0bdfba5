import type { DataSource } from 'typeorm';
import { affectedRows, asking } from '../transaction.js';

const UNTIL = 'UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND';

/** Takes or prolongs the lead of a role for one process, by the database's clock. True for the leader. */
export async function lead(ds: DataSource, name: string, owner: string, leaseMs: number): Promise<boolean> {
  return asking(async () => {
    const taken: unknown = await ds.query(
      `UPDATE leader_leases SET owner = ?, lease_until = ${UNTIL}
       WHERE name = ? AND (owner = ? OR lease_until < UTC_TIMESTAMP(3))`,
      [owner, leaseMs * 1000, name, owner],
    );
    if (affectedRows(taken) === 1) return true;
    const first: unknown = await ds.query(
      `INSERT IGNORE INTO leader_leases (name, owner, lease_until) VALUES (?, ?, ${UNTIL})`,
      [name, owner, leaseMs * 1000],
    );
    return affectedRows(first) === 1;
  });
}

/** Who leads, and for how long if nothing is renewed. */
export interface Leader {
  owner: string;
  until: Date;
  leftMs: number;
  /** The database's time. */
  now: Date;
}

export async function readLeader(ds: DataSource, name: string): Promise<Leader | undefined> {
  const rows = await asking(() =>
    ds.query<{ owner: string; until: Date; now: Date }[]>(
      'SELECT owner, lease_until AS until, UTC_TIMESTAMP(3) AS now FROM leader_leases WHERE name = ?',
      [name],
    ),
  );
  const [row] = rows;
  return row && { ...row, leftMs: row.until.getTime() - row.now.getTime() };
}

/** Takes the lead from a leader that has not renewed it since it was seen. True when it is ours. */
export async function takeLead(
  ds: DataSource,
  name: string,
  owner: string,
  leaseMs: number,
  from: Leader,
): Promise<boolean> {
  const taken: unknown = await asking(() =>
    ds.query(
      `UPDATE leader_leases SET owner = ?, lease_until = ${UNTIL}
       WHERE name = ? AND owner = ? AND lease_until = ?`,
      [owner, leaseMs * 1000, name, from.owner, from.until],
    ),
  );
  return affectedRows(taken) === 1;
}

/** Gives the lead away, so that another need not wait until it has run out. */
export async function resignLead(ds: DataSource, name: string, owner: string): Promise<void> {
  await asking(() => ds.query('DELETE FROM leader_leases WHERE name = ? AND owner = ?', [name, owner]));
}
