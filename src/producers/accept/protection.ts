// One file for each use case; all are imported through the index.
import { protect } from '../../db/chain/protect.js';
import { getRepository } from '../../db/repository/repositories.js';
import { recordHolds } from '../../services/protection/holds.js';
import { withDeadline } from '../../shared/abort.js';
import type { AcceptDeps } from './deps.js';

/** A client waits for the repository's file system for so long at most. */
const RECORD_MS = 5_000;

/**
 * Protects backups from removal until an instant, or no longer (null): in the catalogue, and in their repository, so that a
 * catalogue that is rebuilt knows it. Where the repository cannot be reached from here the keeper writes the record.
 * @throws not_found, wrong_state, database_unavailable
 */
export async function acceptProtection(
  { ds, log }: Pick<AcceptDeps, 'ds' | 'log'>,
  what: { column: 'id' | 'restore_point_id'; id: string; repositoryId: string },
  until: Date | null,
): Promise<void> {
  const repository = await getRepository(ds, what.repositoryId);
  await protect(ds, what, until);
  const deadline = withDeadline(undefined, RECORD_MS, 'The record of a protection');
  try {
    await recordHolds({ ds, repository, signal: deadline.signal });
  } catch (error) {
    log.warn(
      { err: error, repository: repository.name, what: what.id },
      'a protection is not in its repository yet; the keeper writes it',
    );
  } finally {
    deadline.clear();
  }
}
