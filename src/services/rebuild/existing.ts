// Between the files and the database: what the manifests of a disk name is asked for before and again under the chain's lock.
import { type ExistingDisk, readExisting } from '../../db/chain/existing.js';
import type { DataSource, EntityManager } from '../../db/database.js';
import type { FoundDisk } from './facts.js';

/** Reads what the catalogue knows of a disk, in a transaction or without one. @throws database_unavailable */
export async function loadExisting(
  db: DataSource | EntityManager,
  repositoryId: string,
  { vmContextId, diskId, backups }: FoundDisk,
): Promise<ExistingDisk> {
  const last = backups.at(-1)?.manifest;
  return readExisting(db, {
    repositoryId,
    vmContextId,
    diskId,
    vmName: last?.vm_name ?? '',
    upstreamId: last?.upstream_id ?? '',
    chainId: last?.chain_id ?? '',
    backupIds: backups.map(({ manifest }) => manifest.backup_id),
    restorePointIds: backups.map(({ manifest }) => manifest.restore_point_id),
  });
}
