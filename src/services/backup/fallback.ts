import { join } from 'node:path';
import { readDigestIndex } from '../../datapath/index.js';
import { untilAborted } from '../../datapath/untilAborted.js';
import { chainInfo } from '../../qcow2/index.js';
import { saysBadSector } from '../../shared/badSector.js';
import { isStrataError } from '../../shared/errors.js';
import { isRecordedChain } from '../repository/checkFile.js';
import { lockedFileOf } from '../repository/lockedFile.js';
import { assertPlace } from '../job/openPlace.js';
import type { Begun } from './attempt.js';
import type { BackupContext } from './context.js';
import type { BackupPlan } from '../chain/index.js';
import { digestPaths, layersOf } from './transfer.js';

/** Errors that say that what the increment stands on is broken, not the disk and not the new file. */
const PARENT_ERRORS = ['digest_index_invalid', 'file_missing', 'image_corrupt'] as const;
/** Errors of a tool that may have stumbled over the parent: a parent with a destroyed header is "not in qcow2 format". */
const PERHAPS_PARENT = ['unknown_format', 'tool_failed', 'chain_broken', 'nbd_connection_lost'] as const;

/**
 * The full that replaces an increment whose parent turned out to be unreadable, where the request allows one: otherwise
 * every further backup of the disk would fail until somebody looked. The repository is asked again whether it is there.
 */
export async function fullInstead(
  { context, io }: Begun,
  plan: BackupPlan,
  error: unknown,
): Promise<BackupPlan | undefined> {
  if (plan.type === 'full' || context.job.request.on_broken_chain !== 'full') return undefined;
  // Nobody writes to a file of the repository but by mistake: when that ends is not known, and today's backup is taken.
  if (lockedFileOf(error, context.root) !== undefined)
    return { type: 'full', mode: 'full', parent: null, demotedReason: 'parent_in_use' };
  // A disk that gives nothing at all says the same as one with a bad sector below an index.
  const perhaps = isStrataError(error, ...PERHAPS_PARENT) || saysBadSector(error);
  const suspicious =
    isStrataError(error, ...PARENT_ERRORS) ||
    (perhaps && (await isUnreadable(context, plan.parent.id, io.signal)));
  if (!suspicious) return undefined;
  await assertPlace(context);
  return { type: 'full', mode: 'full', parent: null, demotedReason: 'parent_unreadable' };
}

async function isUnreadable(context: BackupContext, parentId: string, signal: AbortSignal): Promise<boolean> {
  const { root } = context;
  const layers = layersOf(context, parentId);
  try {
    const images = layers.map(({ path }) => join(root, path));
    if (!isRecordedChain(await chainInfo(images[0] ?? '', { signal }), images)) return true;
    for (const path of digestPaths(root, layers))
      for await (const _ of untilAborted(readDigestIndex(path), signal)) continue;
    return false;
  } catch (error) {
    if (saysBadSector(error)) return true;
    // A tool that was stopped or was too slow has said nothing about the file.
    return isStrataError(
      error,
      'unknown_format',
      'tool_failed',
      'file_missing',
      'chain_broken',
      'image_corrupt',
      'digest_index_invalid',
    );
  }
}
