import type { RepositorySpace } from '../../../contract/index.js';
import type { spaceOfChains } from '../../../db/repository/space.js';
import type { Repository } from '../../../entities/index.js';

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
