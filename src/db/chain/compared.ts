import type { DataSource } from 'typeorm';
import type { JobStatus } from '../../shared/jobs.js';
import { OPEN } from '../job/kinds.js';
import { select } from '../page.js';

// What a comparison of the catalogue with the files asks.

/** Ids in one statement; keeps it far below the server's packet limit. */
const IDS_AT_ONCE = 500;

/** A chain and who holds it. */
export interface HeldChain {
  id: string;
  fence: number;
  /** Nobody holds a lease: it was given back, or never given. */
  free: boolean;
  /** The job under whose lease the chain is now; null where no lease is live. */
  jobId: string | null;
}

/** The chain of a disk in a repository, or undefined. @throws database_unavailable */
export async function chainOfDisk(
  ds: DataSource,
  disk: { repositoryId: string; vmContextId: string; diskId: number },
): Promise<HeldChain | undefined> {
  const [row] = await select<{
    id: string;
    fence: string;
    lease_owner: string | null;
    lease_job_id: string | null;
    live: number;
  }>(
    ds,
    `SELECT c.id, c.fence, c.lease_owner, c.lease_job_id,
            (c.lease_until IS NOT NULL AND c.lease_until > UTC_TIMESTAMP(3)) AS live
     FROM backup_chains c JOIN vm_contexts v ON v.vm_context_id = c.vm_context_id
     WHERE v.repository_id = ? AND c.vm_context_id = ? AND c.disk_id = ?`,
    [disk.repositoryId, disk.vmContextId, disk.diskId],
  );
  if (!row) return undefined;
  const live = Number(row.live) === 1;
  return {
    id: row.id,
    fence: Number(row.fence),
    free: row.lease_owner === null,
    // A lease without a job is nobody's whom a comparison could be.
    jobId: live ? (row.lease_job_id ?? '') : null,
  };
}

/** Backups of a chain that a worker has begun and that have not ended. */
export async function begunBackups(ds: DataSource, chainId: string): Promise<string[]> {
  const rows = await select<{ id: string }>(
    ds,
    `SELECT id FROM backup_jobs WHERE chain_id = ? AND status IN ${OPEN} AND fence IS NOT NULL`,
    [chainId],
  );
  return rows.map(({ id }) => id);
}

/** The states of these backups, and their content ids; ids that the catalogue does not know are not in the map. */
export async function statesOf(
  ds: DataSource,
  ids: readonly string[],
): Promise<Map<string, { row: JobStatus; contentId: string | null }>> {
  const states = new Map<string, { row: JobStatus; contentId: string | null }>();
  for (let from = 0; from < ids.length; from += IDS_AT_ONCE) {
    const rows = await select<{ id: string; row: JobStatus; contentId: string | null }>(
      ds,
      'SELECT id, status AS `row`, content_id AS contentId FROM backup_jobs WHERE id IN (?)',
      [ids.slice(from, from + IDS_AT_ONCE)],
    );
    for (const { id, row, contentId } of rows) states.set(id, { row, contentId });
  }
  return states;
}

/** The disks of a repository that have completed backups. */
export async function disksWithBackups(
  ds: DataSource,
  repositoryId: string,
): Promise<{ vmContextId: string; diskId: number }[]> {
  return select(
    ds,
    `SELECT c.vm_context_id AS vmContextId, c.disk_id AS diskId FROM backup_chains c
     JOIN vm_contexts v ON v.vm_context_id = c.vm_context_id
     WHERE v.repository_id = ? AND c.latest_backup_id IS NOT NULL ORDER BY c.id`,
    [repositoryId],
  );
}
