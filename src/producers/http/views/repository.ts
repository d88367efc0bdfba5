import type {
  ReconcileReport as ReconcileView,
  Repository as RepositoryView,
  RepositorySpace,
  RepositoryValidation,
} from '../../../contract/index.js';
import type { Repository } from '../../../entities/index.js';
import type { PoolFacts } from '../../../db/repository/pools.js';
import type { JobKind } from '../../../shared/jobs.js';
import { iso } from './parts.js';
import type { spaceOfChains } from '../../../db/repository/space.js';
import { REASONS } from '../../../services/reconcile/index.js';
import type { ReconcileAnswer } from '../../accept/index.js';
import type { CadencePlan } from '../../../services/validation/index.js';

/** @param unserved kinds of jobs that no live worker takes from the pool; left out of events */
export function toRepository(row: Repository, unserved?: JobKind[]): RepositoryView {
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
    ...(unserved ? { unserved_kinds: unserved } : {}),
  };
}

/** @param quarantine null where this host does not mount the repository */
export function toSpace(
  { repository, quarantine }: { repository: Repository; quarantine: RepositorySpace['quarantine'] },
  chains: Awaited<ReturnType<typeof spaceOfChains>>,
): RepositorySpace {
  return {
    repository_id: repository.id,
    total_bytes: repository.totalBytes,
    available_bytes: repository.availableBytes,
    reserve_bytes: repository.minFreeBytes,
    quarantine,
    uncatalogued: toUncatalogued(repository),
    chains: chains.map((chain) => ({
      chain_id: chain.chainId,
      vm_context_id: chain.vmContextId,
      vm_name: chain.vmName,
      disk_id: chain.diskId,
      points: chain.points,
      points_bytes: chain.pointsBytes,
      reclaimable_bytes: chain.expiredBytes,
    })),
  };
}

function toUncatalogued(repository: Repository): RepositorySpace['uncatalogued'] {
  const { uncataloguedFiles: files, uncataloguedBytes: bytes, comparedAt } = repository;
  if (files === null || bytes === null || comparedAt === null) return null;
  return { files, bytes, compared_at: comparedAt.toISOString() };
}

const NONE = {
  quarantine: 0,
  bring_back: 0,
  write_manifest: 0,
  mark_damaged: 0,
  mark_suspect: 0,
  finish: 0,
  adopt: 0,
  leave: 0,
};

export function toReconcileReport({ actions, counts, ...answer }: ReconcileAnswer): ReconcileView {
  return {
    ...answer,
    counts: { ...NONE, ...counts },
    actions: actions.map((action) => ({ ...action, message: REASONS[action.reason] })),
  };
}

/** @param facts how many chains and backups are of each health, and the plan of each level; null where it is switched off */
export function toRepositoryValidation(facts: {
  repositoryId: string;
  chains: ReadonlyMap<string, number>;
  backups: ReadonlyMap<string, number>;
  quick: CadencePlan | null;
  deep: CadencePlan | null;
}): RepositoryValidation {
  const { repositoryId, chains, backups, quick, deep } = facts;
  const count = (of: ReadonlyMap<string, number>, health: string) => of.get(health) ?? 0;
  const ill = (of: ReadonlyMap<string, number>) => ({
    suspect: count(of, 'suspect'),
    damaged: count(of, 'damaged'),
  });
  return {
    repository_id: repositoryId,
    chains: { ok: count(chains, 'ok'), ...ill(chains) },
    backups: ill(backups),
    quick: toDue(quick),
    deep: toDue(deep),
  };
}

function toDue(plan: CadencePlan | null): RepositoryValidation['quick'] {
  return plan && { overdue_chains: plan.overdue, oldest_seconds: plan.oldestMs / 1000 };
}

/** What the events of a pool tell of it. */
export function toPool({ id, unservedKinds, repositories }: PoolFacts) {
  return { id, unserved_kinds: unservedKinds, repositories };
}
