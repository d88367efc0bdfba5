import type { DataSource } from 'typeorm';
import { affectedRows, asking } from '../transaction.js';
import type { ChainLease } from '../job/lease.js';

/** Ports of one host: numbers from `first` to `last`, both included. */
export interface PortRange {
  first: number;
  last: number;
}

/**
 * Takes a free port of a host for the holder of a lease. All workers of a host take them from here, so that no two try
 * the same one.
 * @param except ports that another program was found to have
 * @returns undefined when all are taken
 */
export async function takePort(
  ds: DataSource,
  lease: ChainLease,
  host: string,
  range: PortRange,
  except: ReadonlySet<number>,
): Promise<number | undefined> {
  await freePortsOfTheDead(ds, host, lease.jobId);
  const rows = await asking(() =>
    ds.query<{ port: number }[]>('SELECT port FROM push_ports WHERE host = ?', [host]),
  );
  const taken = new Set(rows.map(({ port }) => port));
  for (let port = range.first; port <= range.last; port++) {
    if (taken.has(port) || except.has(port)) continue;
    // Another worker may take it between the two statements: then the row is his, and the next port is tried.
    const result = await asking(() =>
      ds.query<unknown>(
        'INSERT IGNORE INTO push_ports (host, port, backup_id, fence, taken_at) VALUES (?, ?, ?, ?, UTC_TIMESTAMP(3))',
        [host, port, lease.jobId, lease.fence],
      ),
    );
    if (affectedRows(result) === 1) return port;
  }
  return undefined;
}

/** Gives a port back. May be called again: a port that somebody else has taken meanwhile stays his. */
export async function releasePort(
  ds: DataSource,
  lease: ChainLease,
  host: string,
  port: number,
): Promise<void> {
  await deleteOf(ds, host, port, lease.jobId, lease.fence);
}

/**
 * Frees the ports of a host, and those that earlier attempts of the job had anywhere, whose holders do not have their
 * chains any more: by fence and holder, not by a clock. A frozen worker may still listen: whoever takes its port finds
 * that out and takes the next.
 */
async function freePortsOfTheDead(ds: DataSource, host: string, jobId: string): Promise<void> {
  const dead = await asking(() =>
    ds.query<{ host: string; port: number; backup_id: string; fence: string }[]>(
      `SELECT p.host, p.port, p.backup_id, p.fence FROM push_ports p
       JOIN backup_jobs j ON j.id = p.backup_id JOIN backup_chains c ON c.id = j.chain_id
       WHERE (p.host = ? OR p.backup_id = ?) AND NOT (c.fence = p.fence AND c.lease_job_id <=> p.backup_id)`,
      [host, jobId],
    ),
  );
  for (const row of dead) await deleteOf(ds, row.host, row.port, row.backup_id, row.fence);
}

async function deleteOf(
  ds: DataSource,
  host: string,
  port: number,
  backupId: string,
  fence: number | string,
): Promise<void> {
  await asking(() =>
    ds.query('DELETE FROM push_ports WHERE host = ? AND port = ? AND backup_id = ? AND fence = ?', [
      host,
      port,
      backupId,
      fence,
    ]),
  );
}
