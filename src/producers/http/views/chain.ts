import type { ChainBackup, ChainSummary, LeaseState } from '../../../contract/index.js';
import type { ChainFacts } from '../../../db/chain/chains.js';
import type { BackupJob } from '../../../entities/index.js';
import { healthOf } from '../../../services/chain/index.js';
import { iso } from './parts.js';

export function toChainSummary(facts: ChainFacts): ChainSummary {
  const { chain, vmName, repositoryId } = facts;
  return {
    id: chain.id,
    vm_context_id: chain.vmContextId,
    vm_name: vmName,
    repository_id: repositoryId,
    disk_id: chain.diskId,
    full_backup_id: chain.fullBackupId,
    latest_backup_id: chain.latestBackupId,
    total_backups: chain.totalBackups,
    total_size_bytes: chain.totalSizeBytes,
    health: chain.health,
    last_validated_at: iso(chain.lastValidatedAt),
    fence: chain.fence,
    committed: chain.committed,
    lease: toLease(facts),
  };
}

function toLease({ chain, leaseLive }: ChainFacts): LeaseState | null {
  if (chain.leaseOwner === null || chain.leaseUntil === null) return null;
  return {
    owner: chain.leaseOwner,
    job_id: chain.leaseJobId,
    until: chain.leaseUntil.toISOString(),
    live: leaseLive,
  };
}

export function toChainBackup(backup: BackupJob): ChainBackup {
  return {
    id: backup.id,
    restore_point_id: backup.restorePointId,
    parent_backup_id: backup.parentBackupId,
    backup_type: backup.backupType,
    demoted_reason: backup.demotedReason,
    status: backup.status,
    health: healthOf(backup),
    created_at: backup.createdAt.toISOString(),
    completed_at: iso(backup.completedAt),
    virtual_size: backup.virtualSize,
    size_bytes: backup.sizeBytes,
    bytes_transferred: backup.bytesTransferred,
    content_id: backup.contentId,
    change_id: backup.changeId,
    repository_path: backup.repositoryPath,
    error_code: backup.errorCode,
  };
}
