import { allRepositories, getRepository } from '../../db/repository/repositories.js';
import { reconcileHolds } from '../../services/protection/holds.js';
import { adoptImmutableDays, recordImmutableDays } from '../../services/protection/immutability.js';
import { isStrataError } from '../../shared/errors.js';
import { acceptReconcile } from '../accept/reconcile.js';
import type { AcceptDeps } from '../accept/deps.js';
import { type BackgroundChore, inBackground } from './inBackground.js';

/**
 * A chore of the keeper: compares every repository with the catalogue at the keeper's start and from time to time. It
 * brings protections and their records together, and changes nothing else itself; jobs do.
 */
export function createReconciler(
  deps: AcceptDeps,
  options: { everyMs: number; signal: AbortSignal },
): BackgroundChore {
  return inBackground(deps, { name: 'reconciliation', ...options }, () => reconcileAll(deps, options.signal));
}

/** One round; a repository that cannot be looked at from here is logged and does not keep the others from their turn. */
async function reconcileAll(deps: AcceptDeps, signal: AbortSignal): Promise<void> {
  for (const repository of await allRepositories(deps.ds)) {
    if (signal.aborted) return;
    await reconcileOne(deps, repository, signal);
  }
}

async function reconcileOne(
  deps: AcceptDeps,
  { id, name }: { id: string; name: string },
  signal: AbortSignal,
): Promise<void> {
  try {
    await reconcileProtections(deps, id, signal);
    const answer = await acceptReconcile(deps, { repositoryId: id, dryRun: false, signal });
    const { scanned, counts, restorable, jobs } = answer;
    const found = Object.keys(counts).length > 0;
    deps.log[found ? 'warn' : 'info'](
      { repository: name, ...scanned, counts, restorable, jobs: jobs.length },
      found ? 'catalogue and files differ' : 'catalogue and files agree',
    );
  } catch (error) {
    if (signal.aborted) return;
    const away = isStrataError(error, 'repository_unavailable', 'repository_marker_foreign');
    deps.log.warn({ err: error, repository: name }, away ? 'not compared: not mounted here' : 'not compared');
  }
}

async function reconcileProtections(deps: AcceptDeps, id: string, signal: AbortSignal): Promise<void> {
  const repository = await getRepository(deps.ds, id);
  const place = { ds: deps.ds, repository, signal };
  const { adopted, invalid } = await reconcileHolds(place, deps.clock.now());
  const days = await adoptImmutableDays(place);
  await recordImmutableDays(place);
  const facts = { repository: repository.name };
  if (days !== undefined)
    deps.log.warn({ ...facts, immutable_days: days }, 'immutable for longer again, as the repository says');
  if (adopted.length > 0)
    deps.log.warn({ ...facts, backups: adopted }, 'protected again, as the repository says');
  if (invalid.length > 0)
    deps.log.warn({ ...facts, files: invalid }, 'records of protections cannot be read: protect again');
}
