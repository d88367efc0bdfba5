import { allRepositories, getRepository } from '../../db/repository/repositories.js';
import { noteSpace, waitsForRoom } from '../../db/chain/retention.js';
import type { Metrics } from '../../observability/metrics.js';
import { recordCapacity } from '../../services/job/recordCapacity.js';
import { assertRepository } from '../../services/repository/marker.js';
import { isStrataError } from '../../shared/errors.js';
import type { AcceptDeps } from '../accept/deps.js';
import { type BackgroundChore, inBackground } from './inBackground.js';

/** While a repository is too full, its policies are asked again after so long. */
const AGAIN_MS = 300_000;

/** How often it looks, and until when. */
export interface SpaceOptions {
  everyMs: number;
  signal: AbortSignal;
}

/**
 * A chore of the keeper: reads how full the repositories are that this host mounts. One that falls below its reserve, or in which a backup waits for
 * room, is reported (event, log, metric), and its policies are asked early; what they keep is not touched, and backups wait.
 */
export function createSpaceWatch(deps: AcceptDeps & SpaceMetrics, options: SpaceOptions): BackgroundChore {
  return inBackground(deps, { name: 'space', ...options }, () => watchAll(deps, options.signal));
}

interface SpaceMetrics {
  metrics: Pick<Metrics, 'repositoryBytes'>;
}

async function watchAll(deps: AcceptDeps & SpaceMetrics, signal: AbortSignal): Promise<void> {
  const { metrics } = deps;
  for (const { id } of await allRepositories(deps.ds)) {
    if (signal.aborted) return;
    const repository = await getRepository(deps.ds, id);
    try {
      await assertRepository(repository.rootPath, id);
      const capacity = await recordCapacity(deps.ds, repository, deps.clock.now());
      const { name, minFreeBytes } = repository;
      const set = (what: string, bytes: number) =>
        metrics.repositoryBytes.set({ repository: name, what }, bytes);
      set('total', capacity.totalBytes);
      set('available', capacity.availableBytes);
      set('reserve', minFreeBytes);
      const isLow = capacity.availableBytes < minFreeBytes || (await waitsForRoom(deps.ds, id));
      const changed = await noteSpace(deps.ds, id, isLow, AGAIN_MS);
      const facts = { repository: name, availableBytes: capacity.availableBytes, minFreeBytes };
      if (changed && isLow) deps.log.warn(facts, 'the repository has fallen below its reserve: backups wait');
      else if (changed) deps.log.info(facts, 'the repository has room again');
    } catch (error) {
      // Other hosts mount it, or it is away: jobs report that.
      if (!isStrataError(error, 'repository_unavailable', 'repository_marker_foreign')) throw error;
    }
  }
}
