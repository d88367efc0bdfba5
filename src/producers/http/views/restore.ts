import type { Restore } from '../../../contract/index.js';
import type { RestoreJob } from '../../../entities/index.js';
import { iso, toJobError, toProgress } from './parts.js';

export function toRestore(row: RestoreJob): Restore {
  return {
    id: row.id,
    backup_id: row.backupId,
    chain_id: row.chainId,
    repository_id: row.repositoryId,
    target: row.target,
    format: row.format,
    verify: row.verify,
    allow_damaged: row.allowDamaged,
    status: row.status,
    max_bytes_per_second: row.maxBytesPerSecond,
    deadline_seconds: row.deadlineSeconds,
    attempts: row.attempts,
    cancel_requested: row.cancelRequested,
    progress: toProgress(row.progress),
    error: toJobError(row.errorCode, row.errorDetail),
    result: row.result,
    created_at: row.createdAt.toISOString(),
    started_at: iso(row.startedAt),
    completed_at: iso(row.completedAt),
  };
}
