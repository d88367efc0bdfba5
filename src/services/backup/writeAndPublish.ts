import { asStrataError, type StrataError } from '../../shared/errors.js';
import type { BackupPlan } from '../chain/index.js';
import { removePartials } from '../repository/durable.js';
import type { BackupFiles } from '../repository/layout.js';
import type { Attempt, BackupOutcome, Names, NewBackup, Written } from './attempt.js';
import { publish } from './publish.js';
import { noteOutOfRoom, writtenBytes } from './room.js';
import { verifyNew } from './verifyNew.js';

/**
 * Lets `write` fill the temporary files, proves them and publishes them; leaves no temporary file when it fails.
 * @param keepsImage whether the image of a failed attempt is still of use to the next one
 */
export async function writeAndPublish(
  attempt: Attempt,
  plan: BackupPlan,
  names: Names,
  write: () => Promise<Written>,
  keepsImage: (error: StrataError) => boolean = () => false,
): Promise<BackupOutcome> {
  const { report } = attempt;
  try {
    const written = await write();
    const { bytesTransferred } = written;
    report({ phase: 'checking', bytes_done: bytesTransferred, bytes_total: bytesTransferred });
    const backup: NewBackup = { ...attempt, ...names, plan };
    const { contentId } = await verifyNew(backup);
    const published = await publish(backup, { ...written, contentId });
    return { ...published, audited: written.audit?.sampled ?? 0 };
  } catch (failure) {
    const error = asStrataError(failure);
    await tidyUp(attempt, names.partial, error, keepsImage(error));
    throw error;
  }
}

async function tidyUp(
  { deps, held, context }: Attempt,
  { image, digests, manifest }: BackupFiles,
  error: StrataError,
  keepsImage: boolean,
): Promise<void> {
  const { root } = context;
  const left = keepsImage ? [digests, manifest] : [image, digests, manifest];
  const outOfRoom = error.code === 'no_space';
  const written = outOfRoom ? await writtenBytes(root, left) : 0;
  await removePartials(root, left, error);
  if (outOfRoom) await noteOutOfRoom(deps.ds, held, written);
}
