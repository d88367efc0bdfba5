import { getRepository, allRepositories } from '../../db/repository/repositories.js';
import { expireQuarantine } from '../../services/repository/expireQuarantine.js';
import type { AcceptDeps } from '../accept/deps.js';

const EVERY_MS = 3_600_000;

/**
 * A chore of the keeper: once an hour, what was set aside `days` days ago is removed from the repositories that its host
 * mounts, and told. `run` returns at once, because a sweep must not wait for a slow disk; a stopping process waits for
 * `settled`.
 * @param days 0: nothing is ever removed
 */
export function createQuarantineKeeper(
  deps: AcceptDeps,
  { days, signal }: { days: number; signal: AbortSignal },
): { run: () => Promise<void>; settled: () => Promise<void> } {
  let next = Number.NEGATIVE_INFINITY;
  let round: Promise<void> | undefined;
  return {
    run: async () => {
      if (days === 0 || round || signal.aborted || deps.clock.monotonicMs() < next) return;
      next = deps.clock.monotonicMs() + EVERY_MS;
      round = expireAll(deps, days, signal).finally(() => {
        round = undefined;
      });
    },
    settled: async () => round,
  };
}

async function expireAll(deps: AcceptDeps, days: number, signal: AbortSignal): Promise<void> {
  try {
    for (const { id, name } of await allRepositories(deps.ds)) {
      if (signal.aborted) return;
      await expireOne(deps, id, name, { days, signal });
    }
  } catch (error) {
    deps.log.warn({ err: error }, 'the quarantines were not looked at; the next round tries again');
  }
}

async function expireOne(
  deps: AcceptDeps,
  id: string,
  name: string,
  options: { days: number; signal: AbortSignal },
): Promise<void> {
  try {
    const repository = await getRepository(deps.ds, id);
    const removed = await expireQuarantine(repository, {
      now: deps.clock.now(),
      ...options,
      onKept: (files) =>
        deps.log.warn(
          { repository: name, files: files.length, first: files[0] },
          'images stay in quarantine whatever their age: qemu-img restores them, or others stand on them',
        ),
    });
    if (removed.files > 0) deps.log.warn({ repository: name, ...removed }, 'removed from quarantine');
  } catch (error) {
    deps.log.warn({ err: error, repository: name }, 'the quarantine was not looked at');
  }
}
