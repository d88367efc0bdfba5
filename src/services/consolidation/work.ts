import type { DataSource } from '../../db/database.js';
import { asking } from '../../db/transaction.js';
import { MaintenanceJob, Repository } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import type { HeldLease } from '../job/holdLease.js';
import type { ServiceDeps } from '../deps.js';
import { diskDirectory } from '../repository/layout.js';
import type { Progress } from './progress.js';

/** What every step of a consolidation works with. */
export interface Work {
  deps: Pick<ServiceDeps, 'ds' | 'clock' | 'scratchDir'>;
  held: HeldLease;
  progress: Progress;
  place: Place;
}

/** Where the files of a chain are. */
export interface Place {
  repository: Repository;
  /** The repository's root. */
  root: string;
  /** The disk's directory, relative to the root. */
  directory: string;
}

/** @throws not_found, database_unavailable */
export async function loadPlace(ds: DataSource, chainId: string): Promise<Place> {
  const rows = await asking(() =>
    ds.query<{ vm_context_id: string; disk_id: number; repository_id: string }[]>(
      `SELECT c.vm_context_id, c.disk_id, v.repository_id FROM backup_chains c
       JOIN vm_contexts v ON v.vm_context_id = c.vm_context_id WHERE c.id = ?`,
      [chainId],
    ),
  );
  const row = rows[0];
  if (!row) throw new StrataError('not_found', `There is no chain ${chainId}.`);
  const repository = await asking(() =>
    ds.getRepository(Repository).findOneByOrFail({ id: row.repository_id }),
  );
  return {
    repository,
    root: repository.rootPath,
    directory: diskDirectory(row.vm_context_id, row.disk_id),
  };
}

/** @throws not_found, database_unavailable */
export async function loadJob(ds: DataSource, jobId: string): Promise<MaintenanceJob> {
  const job = await asking(() => ds.getRepository(MaintenanceJob).findOneBy({ id: jobId }));
  if (!job) throw new StrataError('not_found', `There is no maintenance job ${jobId}.`);
  return job;
}
