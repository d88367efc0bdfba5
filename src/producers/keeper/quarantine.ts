import { getRepository, allRepositories } from '../../db/stores/repositories.js';
import { expireQuarantine } from '../../services/repository/quarantined.js';
import type { AcceptDeps } from '../accept/deps.js';

const EVERY_MS = 3_600_000;

/**
 * A chore of the keeper: once an hour, what was set aside `days` days ago is removed from the repositories that its host
 * mounts, and told.
 * @param days 0: nothing is ever removed
 */
export function createQuarantineKeeper(
  deps: AcceptDeps,
  { days, signal }: { days: number; signal: AbortSignal },
): () => Promise<void> {
  let next = Number.NEGATIVE_INFINITY;
  return async () => {
    if (days === 0 || deps.clock.monotonicMs() < next) return;
    next = deps.clock.monotonicMs() + EVERY_MS;
    for (const { id, name } of await allRepositories(deps.ds)) {
      if (signal.aborted) return;
      try {
        const repository = await getRepository(deps.ds, id);
        const removed = await expireQuarantine(repository, { now: deps.clock.now(), days, signal });
        if (removed.files > 0) deps.log.warn({ repository: name, ...removed }, 'removed from quarantine');
      } catch (error) {
        deps.log.warn({ err: error, repository: name }, 'the quarantine was not looked at');
      }
    }
  };
}
