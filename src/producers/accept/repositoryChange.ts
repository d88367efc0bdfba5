import { changeRepository, getRepository, type RepositoryChange } from '../../db/repository/repositories.js';
import type { Repository } from '../../entities/index.js';
import { writeImmutableDays } from '../../services/repository/immutability.js';
import { recordImmutableDays } from '../../services/protection/immutability.js';
import { assertRepository } from '../../services/repository/marker.js';
import { abortable, withDeadline } from '../../shared/abort.js';
import { StrataError } from '../../shared/errors.js';
import type { AcceptDeps } from './deps.js';

/** A client waits for the repository's file system for so long at most. */
const RECORD_MS = 5_000;

/**
 * Changes a repository and returns it as it is then. Its `immutable_days` are written to the repository before the catalogue: while
 * the two differ, the greater number is the one that will hold.
 * @throws not_found, name_taken, database_unavailable
 * @throws repository_unavailable, repository_marker_foreign when `immutable_days` are to change and cannot be written there
 */
export async function acceptRepositoryChange(
  deps: Pick<AcceptDeps, 'ds' | 'log'>,
  id: string,
  change: RepositoryChange,
): Promise<Repository> {
  const { ds, log } = deps;
  const repository = await getRepository(ds, id);
  const { immutableDays } = change;
  if (immutableDays === undefined || immutableDays === repository.immutableDays)
    return changeRepository(ds, id, change);
  await tell(repository, immutableDays);
  try {
    return await changeRepository(ds, id, change);
  } finally {
    // The keeper may have looked between the two; and a change that was refused is taken back.
    await underDeadline((signal) => recordImmutableDays({ ds, repository, signal })).catch((error: unknown) =>
      log.warn(
        { err: error, repository: repository.name },
        'the immutable days are not in the repository yet; the keeper writes them',
      ),
    );
  }
}

async function tell({ id, rootPath }: Repository, days: number): Promise<void> {
  await underDeadline(async (signal) => {
    await abortable(assertRepository(rootPath, id), signal);
    await abortable(writeImmutableDays(rootPath, id, days), signal);
  });
}

async function underDeadline(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const late = new StrataError(
    'repository_unavailable',
    `The repository did not answer within ${RECORD_MS} ms.`,
  );
  const deadline = withDeadline(undefined, RECORD_MS, late);
  try {
    await work(deadline.signal);
  } finally {
    deadline.clear();
  }
}
