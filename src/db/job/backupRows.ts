import type { DataSource } from 'typeorm';
import { BackupChain, type BackupJob, RestorePoint, VmContext } from '../../entities/index.js';
import { asking } from '../transaction.js';

/** The rows that a backup job is about, but for its place and the layers of its chain. */
export interface BackupRows {
  vm: VmContext;
  restorePoint: RestorePoint;
  chain: BackupChain;
}

/** @throws database_unavailable */
export async function rowsOfBackup(
  ds: DataSource,
  { vmContextId, restorePointId, chainId }: Pick<BackupJob, 'vmContextId' | 'restorePointId' | 'chainId'>,
): Promise<BackupRows> {
  return asking(async () => {
    const [vm, restorePoint, chain] = await Promise.all([
      ds.getRepository(VmContext).findOneByOrFail({ vmContextId }),
      ds.getRepository(RestorePoint).findOneByOrFail({ id: restorePointId }),
      ds.getRepository(BackupChain).findOneByOrFail({ id: chainId }),
    ]);
    return { vm, restorePoint, chain };
  });
}
