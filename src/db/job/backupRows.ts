import type { DataSource } from 'typeorm';
import { BackupChain, BackupJob, Repository, RestorePoint, VmContext } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { asking } from '../transaction.js';

/** The rows that a backup job is about, but for the layers of its chain. */
export interface BackupRows {
  job: BackupJob;
  repository: Repository;
  vm: VmContext;
  restorePoint: RestorePoint;
  chain: BackupChain;
}

/** @throws not_found, database_unavailable */
export async function rowsOfBackup(ds: DataSource, jobId: string): Promise<BackupRows> {
  return asking(async () => {
    const job = await ds.getRepository(BackupJob).findOneBy({ id: jobId });
    if (!job) throw new StrataError('not_found', `There is no backup ${jobId}.`);
    const [repository, vm, restorePoint, chain] = await Promise.all([
      ds.getRepository(Repository).findOneByOrFail({ id: job.repositoryId }),
      ds.getRepository(VmContext).findOneByOrFail({ vmContextId: job.vmContextId }),
      ds.getRepository(RestorePoint).findOneByOrFail({ id: job.restorePointId }),
      ds.getRepository(BackupChain).findOneByOrFail({ id: job.chainId }),
    ]);
    return { job, repository, vm, restorePoint, chain };
  });
}
