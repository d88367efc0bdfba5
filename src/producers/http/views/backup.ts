import type { Backup, NbdExport } from '../../../contract/index.js';
import type { NamedBackup } from '../../../db/chain/backups.js';
import { healthOf } from '../../../services/chain/index.js';
import type { OpenExport } from '../../accept/index.js';
import { iso, toJobError, toProgress } from './parts.js';

export function toBackup({ backup, vmName }: NamedBackup): Backup {
  return {
    id: backup.id,
    restore_point_id: backup.restorePointId,
    chain_id: backup.chainId,
    vm_context_id: backup.vmContextId,
    vm_name: vmName,
    disk_id: backup.diskId,
    repository_id: backup.repositoryId,
    requested_type: backup.requestedType,
    backup_type: backup.backupType,
    demoted_reason: backup.demotedReason,
    status: backup.status,
    health: healthOf(backup),
    tracker: backup.tracker,
    doubted_at: iso(backup.doubtedAt),
    parent_backup_id: backup.parentBackupId,
    change_id: backup.changeId,
    since_change_id: backup.sinceChangeId,
    repository_path: backup.repositoryPath,
    virtual_size: backup.virtualSize,
    size_bytes: backup.sizeBytes,
    bytes_transferred: backup.bytesTransferred,
    content_id: backup.contentId,
    protected_until: iso(backup.protectedUntil),
    awaits_extents_until: iso(backup.awaitsExtentsUntil),
    verify: backup.request.verify ?? null,
    tags: backup.tags,
    priority: backup.priority,
    max_bytes_per_second: backup.maxBytesPerSecond,
    deadline_seconds: backup.deadlineSeconds,
    attempts: backup.attempts,
    cancel_requested: backup.cancelRequested,
    progress: toProgress(backup.progress),
    error: toJobError(backup.errorCode, backup.errorDetail),
    created_at: backup.createdAt.toISOString(),
    started_at: iso(backup.startedAt),
    completed_at: iso(backup.completedAt),
  };
}

export function toNbdExport({ openedAt, ...offer }: OpenExport): NbdExport {
  return { ...offer, opened_at: openedAt.toISOString() };
}
