import type { DataSource } from 'typeorm';
import {
  BackupChain,
  BackupJob,
  Repository,
  RestorePoint,
  VmContext,
  VmDisk,
} from '../../src/entities/index.js';
import type { Manifest } from '../../src/services/repository/manifest.js';

export type Names = { repositoryId: string; vmContextId: string; chainId: string };

export async function insertRepository(ds: DataSource, repositoryId: string, root: string): Promise<void> {
  await ds.getRepository(Repository).insert({
    id: repositoryId,
    name: repositoryId,
    type: 'local',
    rootPath: root,
    pool: 'default',
    createdAt: new Date(),
  });
}

/** One VM of one disk, and its empty chain. */
export async function insertChain(ds: DataSource, names: Names): Promise<void> {
  const { repositoryId, vmContextId, chainId } = names;
  const createdAt = new Date();
  await ds.getRepository(VmContext).insert({ vmContextId, vmName: vmContextId, repositoryId, createdAt });
  await ds.getRepository(VmDisk).insert({ vmContextId, diskId: 0 });
  await ds.getRepository(BackupChain).insert({ id: chainId, vmContextId, diskId: 0 });
}

/** A completed backup, as its manifest says, with a restore point of its own. */
export async function insertBackup(
  ds: DataSource,
  manifest: Manifest,
  repositoryPath: string,
): Promise<void> {
  const createdAt = new Date(manifest.created_at);
  const {
    restore_point_id: restorePointId,
    repository_id: repositoryId,
    vm_context_id: vmContextId,
  } = manifest;
  await ds.getRepository(RestorePoint).insert({
    id: restorePointId,
    vmContextId,
    repositoryId,
    type: manifest.backup_type,
    status: 'completed',
    createdAt,
  });
  await ds.getRepository(BackupJob).insert({
    id: manifest.backup_id,
    chainId: manifest.chain_id,
    seq: manifest.seq,
    status: 'completed',
    fence: manifest.fence,
    createdAt,
    completedAt: createdAt,
    restorePointId,
    vmContextId,
    diskId: manifest.disk_id,
    repositoryId,
    requestedType: manifest.requested_type,
    backupType: manifest.backup_type,
    parentBackupId: manifest.parent_backup_id,
    successorOf: manifest.backup_type === 'incremental' ? manifest.parent_backup_id : null,
    changeId: manifest.change_id,
    request: { source: { type: 'push' }, on_broken_chain: 'full', has_extents: false },
    repositoryPath,
    virtualSize: manifest.virtual_size,
    sizeBytes: manifest.size_bytes,
    bytesTransferred: 0,
    contentId: manifest.content_id,
  });
}
