import type { EntityManager } from 'typeorm';
import type { RebuildParams } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import type { JobStatus } from '../../shared/jobs.js';
import { parseJson } from './journal.js';
import { OPEN } from './kinds.js';

// The line of a repository (docs/decisions/0023-rebuild-is-a-job.md): a row of `backup_chains` without a disk, with the FIFO,
// the lease and the fence of jobs that work on the repository as a whole. All that gives turns and leases takes its id for a
// chain's; what reads chains joins their VMs, and so never meets it.

const PREFIX = 'lin_';

/** One line a repository: the id follows from the repository's. */
export function lineOf(repositoryId: string): string {
  return `${PREFIX}${repositoryId.slice(repositoryId.indexOf('_') + 1)}`;
}

/** Whether a job's `chain_id` names the line of a repository. */
export function isLine(chainId: string): boolean {
  return chainId.startsWith(PREFIX);
}

/**
 * Makes the line of a repository where there is none, and locks its row.
 * @returns its id
 * @throws not_found when there is no such repository
 */
export async function openLine(tx: EntityManager, repositoryId: string): Promise<string> {
  const rows = await tx.query<unknown[]>('SELECT id FROM repositories WHERE id = ?', [repositoryId]);
  if (rows.length === 0) throw new StrataError('not_found', `There is no repository ${repositoryId}.`);
  const id = lineOf(repositoryId);
  // One statement takes the lock whether the row is there or not: two that come at once cannot wait for each other. Where the
  // repository has gone since, nothing is written, and no job finds its line.
  await tx.query(
    'INSERT IGNORE INTO backup_chains (id, repository_id) VALUES (?, ?) ON DUPLICATE KEY UPDATE last_seq = last_seq',
    [id, repositoryId],
  );
  return id;
}

/** Where a job of the line works. @throws not_found */
export async function placeOfLine(
  tx: EntityManager,
  lineId: string,
): Promise<{ chainId: string; repositoryId: string; pool: string }> {
  const [repository] = await tx.query<{ id: string; pool: string }[]>(
    'SELECT r.id, r.pool FROM backup_chains c JOIN repositories r ON r.id = c.repository_id WHERE c.id = ?',
    [lineId],
  );
  if (!repository) throw new StrataError('not_found', `There is no line ${lineId} of a repository.`);
  return { chainId: lineId, repositoryId: repository.id, pool: repository.pool };
}

/** A rebuild of the repository that has not ended and does what another would be asked for. The line must be locked. */
export async function findOpenRebuild(
  tx: EntityManager,
  lineId: string,
  wanted: RebuildParams,
): Promise<{ id: string; status: JobStatus } | undefined> {
  const rows = await tx.query<{ id: string; status: JobStatus; params: unknown }[]>(
    `SELECT id, status, params FROM maintenance_jobs
     WHERE chain_id = ? AND type = 'rebuild' AND status IN ${OPEN} ORDER BY seq`,
    [lineId],
  );
  return rows.find(({ params }) => parseJson<RebuildParams>(params).dry_run === wanted.dry_run);
}

/**
 * Removes the line of a repository with the history of its jobs, for the removal of the repository, whose row is locked.
 * @throws repository_busy while one of the jobs is open
 */
export async function removeLine(tx: EntityManager, repositoryId: string): Promise<void> {
  const id = lineOf(repositoryId);
  await tx.query('SELECT id FROM backup_chains WHERE id = ? FOR UPDATE', [id]);
  const [open] = await tx.query<{ id: string }[]>(
    `SELECT id FROM maintenance_jobs WHERE chain_id = ? AND status IN ${OPEN} LIMIT 1`,
    [id],
  );
  if (open) {
    throw new StrataError(
      'repository_busy',
      `Job ${open.id} of the repository is open: wait for its end, or cancel it (strata cancel ${open.id}).`,
    );
  }
  await tx.query(
    'DELETE s FROM job_steps s JOIN maintenance_jobs j ON j.id = s.job_id WHERE j.chain_id = ?',
    [id],
  );
  await tx.query('DELETE FROM maintenance_jobs WHERE chain_id = ?', [id]);
  await tx.query('DELETE FROM backup_chains WHERE id = ?', [id]);
}
