import { OPEN } from '../../db/job/kinds.js';
import { type JobStatus } from '../../shared/jobs.js';
import type { DataSource } from '../../db/database.js';
import { IS_LAYER } from '../../db/chain/layers.js';
import { PUBLISH_STEP, readSteps } from '../../db/job/journal.js';
import { select } from '../../db/page.js';
import type { Health } from '../../entities/index.js';
import type { ChainFact } from './facts.js';

/** Ids in one statement; keeps it far below the server's packet limit. */
const IDS_AT_ONCE = 500;

/** Who asks: a job under its own lease is nobody that it would have to wait for. */
export interface Holder {
  jobId: string;
  fence: number;
}

/** The chain of a disk in this repository, or undefined. @throws database_unavailable */
export async function loadChain(
  ds: DataSource,
  disk: { repositoryId: string; vmContextId: string; diskId: number },
  holder: Holder | undefined,
): Promise<ChainFact | undefined> {
  const rows = await select<{
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
  const row = rows[0];
  if (!row) return undefined;
  const busy = Number(row.live) === 1 && row.lease_job_id !== holder?.jobId;
  // A lease that was given back makes its fence a dead one; one that ran out may still have a writer who does not know.
  const fence = holder?.fence ?? Number(row.fence) + (row.lease_owner === null ? 1 : 0);
  return { id: row.id, busy, fence };
}

export interface LayerRow {
  id: string;
  parentBackupId: string | null;
  health: Health;
  damageLocated: boolean;
  path: string;
  /** No restore point any more; its file is the chain's own to remove. */
  expired: boolean;
}

/** The backups of a chain that have files, oldest first. @throws database_unavailable */
export async function loadLayers(ds: DataSource, chainId: string): Promise<LayerRow[]> {
  const rows = await select<
    Omit<LayerRow, 'expired' | 'damageLocated'> & { status: JobStatus; located: number }
  >(
    ds,
    `SELECT id, parent_backup_id AS parentBackupId, health, damage_located AS located, repository_path AS path, status
     FROM backup_jobs
     WHERE chain_id = ? AND ${IS_LAYER} ORDER BY seq`,
    [chainId],
  );
  return rows.map(({ status, located, ...row }) => ({
    ...row,
    damageLocated: Number(located) === 1,
    expired: status === 'expired',
  }));
}

/** Images and sidecars, relative to the root, that open jobs of the chain have begun to publish. */
export async function loadOpenFiles(ds: DataSource, chainId: string): Promise<string[]> {
  const jobs = await select<{ id: string }>(
    ds,
    `SELECT id FROM backup_jobs WHERE chain_id = ? AND status IN ${OPEN} AND fence IS NOT NULL`,
    [chainId],
  );
  const files: string[] = [];
  for (const { id } of jobs) files.push(...(await publishedBy(ds, id)));
  return files;
}

/** What these jobs have begun to publish by their journals, relative to the root. */
export async function loadPublished(ds: DataSource, jobIds: readonly string[]): Promise<Set<string>> {
  const files = new Set<string>();
  for (const id of jobIds) for (const file of await publishedBy(ds, id)) files.add(file);
  return files;
}

async function publishedBy(ds: DataSource, jobId: string): Promise<string[]> {
  const steps = await readSteps(ds, jobId);
  return steps.flatMap(({ step, data }) =>
    step === PUBLISH_STEP && data !== null
      ? Object.values(data).filter((value) => typeof value === 'string')
      : [],
  );
}

/** The states of these backups, and their content ids; ids that the catalogue does not know are not in the map. */
export async function loadStates(
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
export async function loadDisksWithBackups(
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
