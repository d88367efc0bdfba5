import { join } from 'node:path';
import { asStrataError, isStrataError, StrataError } from '../../shared/errors.js';
import { assertPlace } from '../job/openPlace.js';
import { assertWritable } from '../repository/writable.js';
import type { Begun } from './attempt.js';
import type { BackupContext } from './context.js';

/** What a repository that went away, or that cannot be written any more, looks like from inside the work. */
const PERHAPS_REPOSITORY = [
  'file_missing',
  'tool_failed',
  'internal',
  'chain_broken',
  'digest_index_invalid',
  'manifest_invalid',
  'image_corrupt',
  'content_mismatch',
] as const;

/**
 * What a failure of a backup really means: where the repository has gone away meanwhile, or takes no more writes, that is
 * the cause, and the job waits for it instead of failing for a file that "does not exist".
 * @throws repository_unavailable, with the failure as its cause; no_space with the repository's name; else the failure
 */
export async function explainFailure({ context, held, io }: Begun, failure: unknown): Promise<never> {
  const error = asStrataError(failure);
  // Whoever took the lease may be writing here by now.
  if (io.signal.aborted) throw error;
  if (isStrataError(error, 'no_space')) throw namingRepository(context, error);
  if (isStrataError(error, ...PERHAPS_REPOSITORY)) {
    try {
      await assertPlace(context);
      await assertWritable(join(context.root, context.directory), held.lease.fence);
    } catch (unavailable) {
      if (unavailable instanceof Error) unavailable.cause ??= error;
      throw unavailable;
    }
  }
  throw error;
}

/** A job that waits for room says where: the tools know a path at best. */
function namingRepository({ repository }: BackupContext, error: StrataError): StrataError {
  if (error.details.repository !== undefined) return error;
  return new StrataError('no_space', `Repository ${repository.name} has no more room. ${error.message}`, {
    cause: error,
    details: { ...error.details, repository: repository.name },
  });
}
