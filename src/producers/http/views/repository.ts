import type { Repository as RepositoryView } from '../../../contract/index.js';
import type { Repository } from '../../../entities/index.js';
import { iso } from './parts.js';

export function toRepository(row: Repository): RepositoryView {
  return {
    id: row.id,
    name: row.name,
    type: row.type,
    root_path: row.rootPath,
    pool: row.pool,
    enabled: row.enabled,
    min_free_bytes: row.minFreeBytes,
    max_parallel_jobs: row.maxParallelJobs,
    max_bytes_per_second: row.maxBytesPerSecond,
    immutable_days: row.immutableDays,
    max_chain_length: row.maxChainLength,
    validate_quick_hours: row.validateQuickHours,
    validate_deep_days: row.validateDeepDays,
    validate_bytes_per_hour: row.validateBytesPerHour,
    total_bytes: row.totalBytes,
    used_bytes: row.usedBytes,
    available_bytes: row.availableBytes,
    capacity_read_at: iso(row.capacityReadAt),
    created_at: row.createdAt.toISOString(),
  };
}
