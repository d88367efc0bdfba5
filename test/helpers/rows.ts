import { type JobStatus } from '../../src/shared/jobs.js';
import type { DataSource } from 'typeorm';
import type { PublishedBackup } from '../../src/db/job/commitBackup.js';
import type { BackupType } from '../../src/entities/index.js';
import { newId } from '../../src/shared/ids.js';
import { systemClock } from '../../src/shared/clock.js';

export interface BackupRow {
  type: BackupType | null;
  status: JobStatus;
  parent: string | null;
  fence?: number;
}

/** Writes a repository, a VM with disk 0 and its chain as bare rows; for tests of the database alone. */
export async function addVm(ds: DataSource, name: string) {
  const id = (prefix: 'repo' | 'chn' | 'rp') => newId(prefix, systemClock.now());
  const ids = {
    repositoryId: id('repo'),
    vmContextId: `${name}-ctx`,
    chainId: id('chn'),
    restorePointId: id('rp'),
  };
  await ds.query(
    `INSERT INTO repositories (id, name, type, root_path, pool, created_at) VALUES (?, ?, 'local', ?, 'default', UTC_TIMESTAMP(3))`,
    [ids.repositoryId, name, `/nowhere/${name}`],
  );
  await ds.query(
    'INSERT INTO vm_contexts (vm_context_id, vm_name, repository_id, created_at) VALUES (?, ?, ?, UTC_TIMESTAMP(3))',
    [ids.vmContextId, name, ids.repositoryId],
  );
  await ds.query('INSERT INTO vm_disks (vm_context_id, disk_id) VALUES (?, 0)', [ids.vmContextId]);
  await ds.query('INSERT INTO backup_chains (id, vm_context_id, disk_id) VALUES (?, ?, 0)', [
    ids.chainId,
    ids.vmContextId,
  ]);
  await ds.query(
    `INSERT INTO restore_points (id, vm_context_id, repository_id, type, status, created_at)
     VALUES (?, ?, ?, 'full', 'pending', UTC_TIMESTAMP(3))`,
    [ids.restorePointId, ids.vmContextId, ids.repositoryId],
  );
  const insertBackup = (row: BackupRow) => insertBackupRow(ds, ids, row);
  return { ids, insertBackup };
}

async function insertBackupRow(
  ds: DataSource,
  ids: { repositoryId: string; vmContextId: string; chainId: string; restorePointId: string },
  row: BackupRow,
): Promise<string> {
  const id = newId('bkp', systemClock.now());
  await ds.query('UPDATE backup_chains SET last_seq = last_seq + 1 WHERE id = ?', [ids.chainId]);
  await ds.query(
    `INSERT INTO backup_jobs (id, chain_id, seq, status, fence, created_at, restore_point_id, vm_context_id, disk_id,
       repository_id, requested_type, backup_type, parent_backup_id, successor_of, request, repository_path,
       virtual_size, size_bytes, content_id, completed_at)
     SELECT ?, id, last_seq, ?, ?, UTC_TIMESTAMP(3), ?, vm_context_id, 0, ?, 'auto', ?, ?, ?, '{}', ?, 512, 1, 'x', UTC_TIMESTAMP(3)
     FROM backup_chains WHERE id = ?`,
    [
      id,
      row.status,
      row.fence ?? null,
      ids.restorePointId,
      ids.repositoryId,
      row.type,
      row.parent,
      row.type === 'incremental' && row.status === 'completed' ? row.parent : null,
      `${ids.vmContextId}/disk-0/${id}.qcow2`,
      ids.chainId,
    ],
  );
  return id;
}

/** What a commit of a full would say, at this path. */
export const publishedFull = (path: string): PublishedBackup => ({
  backupType: 'full',
  demotedReason: null,
  tracker: null,
  distrustBackups: 0,
  notes: [],
  parentBackupId: null,
  repositoryPath: path,
  virtualSize: 512,
  sizeBytes: 100,
  bytesTransferred: 10,
  changeId: null,
  contentId: 'c',
});
