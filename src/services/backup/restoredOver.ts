import { realpath } from 'node:fs/promises';
import { type OpenSource, storageIds } from '../../datapath/index.js';
import { restoredPathsSince } from '../../db/job/restores.js';
import { errnoOf } from '../../shared/errors.js';
import type { Attempt } from './attempt.js';
import type { BackupPlan } from '../chain/index.js';

/**
 * True when a restore has written to the disk since the instant of the parent, completed or not. It writes to a file or
 * device beside the guest, where no hypervisor's tracker sees it: a list of changes would leave that out, silently and for
 * every later increment. What an NBD server or an agent reads from cannot be known.
 */
export async function isRestoredOver(
  { deps, context }: Pick<Attempt, 'deps' | 'context'>,
  plan: BackupPlan,
  { imageRef }: OpenSource,
): Promise<boolean> {
  if (plan.mode !== 'changes' || imageRef.type !== 'file') return false;
  const parent = context.lineage.find(({ id }) => id === plan.parent.id);
  if (!parent) throw new RangeError(`${plan.parent.id} is not in the lineage of ${context.job.id}`);
  const paths = await restoredPathsSince(deps.ds, parent.createdAt);
  if (paths.length === 0) return false;
  const read = new Set(await namesOf(imageRef.path));
  for (const path of paths) if ((await namesOf(path)).some((name) => read.has(name))) return true;
  return false;
}

/** By its path, and by the storage that it leads to: a loop device and the file behind it are one disk. */
async function namesOf(path: string): Promise<string[]> {
  try {
    return [await realpath(path), ...(await storageIds(path))];
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return [path];
  }
}
