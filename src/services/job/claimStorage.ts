import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { kernelId, type OpenSource, storageIds } from '../../datapath/index.js';
import type { DataSource } from '../../db/database.js';
import { type Claimant, claimStorage } from '../../db/job/claims.js';
import type { ClaimMode } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import type { HeldLease } from './holdLease.js';

/**
 * Keeps other jobs of the fleet from writing a file or device that this one reads, and from both reading and writing one
 * that it writes, for as long as it holds its lease. Told are all paths to the same bytes, of all containers of the host;
 * not told is storage that two hosts share.
 * @param shown the path as messages name it
 * @throws resource_busy, for which the job waits; target_in_use where two write
 */
export async function claimPath(
  ds: DataSource,
  { lease }: HeldLease,
  path: string,
  mode: ClaimMode,
  shown: string = path,
): Promise<void> {
  const wanted = { kernel: await kernelId(), storage: await storageIds(path), mode };
  const other = await claimStorage(ds, lease, wanted);
  if (other) throw busy(other, mode, shown);
}

/** The same of all files that an image from outside is made of, by what is open and not by what its paths lead to now. */
export async function claimSource(ds: DataSource, held: HeldLease, source: OpenSource): Promise<void> {
  const { imageRef } = source;
  if (imageRef.type !== 'file') return;
  const files = imageRef.foreign?.files ?? [];
  for (const { fd, path } of files) await claimPath(ds, held, `/proc/self/fd/${fd}`, 'read', path);
  if (files.length === 0) await claimPath(ds, held, imageRef.path, 'read');
}

/** The same for a file that is still to be made: its name in its directory. @throws target_in_use */
export async function claimName(
  ds: DataSource,
  { lease }: HeldLease,
  directory: string,
  name: string,
  shown: string,
): Promise<void> {
  const { dev, ino } = await stat(directory, { bigint: true });
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 32);
  const storage = [`name ${dev} ${ino} ${hash}`];
  const other = await claimStorage(ds, lease, { kernel: await kernelId(), storage, mode: 'write' });
  if (other) throw busy(other, 'write', shown);
}

function busy({ jobId, kind, mode }: Claimant, wanted: ClaimMode, path: string): StrataError {
  const doing = mode === 'write' ? 'writes to' : 'reads';
  const message = `The ${kind} ${jobId} ${doing} ${path} now`;
  const details = { path, job_id: jobId };
  if (mode === 'write' && wanted === 'write') {
    return new StrataError(
      'target_in_use',
      `${message}; a second one would destroy what the first restores.`,
      {
        field: 'target.path',
        details,
      },
    );
  }
  return new StrataError('resource_busy', `${message}; this job waits for its end.`, { details });
}
