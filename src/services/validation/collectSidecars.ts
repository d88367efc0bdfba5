import type { Layer } from '../chain/index.js';
import { contentIdOfRuns, effectiveDigests, openDigestIndex } from '../../datapath/digests/index.js';
import { untilAborted } from '../../datapath/untilAborted.js';
import { isStrataError } from '../../shared/errors.js';
import type { BackupFacts, ContentFact } from './facts.js';
import { readingTrouble } from '../repository/trouble.js';

/** Reads a digest index from its beginning to its end, which checks its checksum. */
export async function lookAtDigests(path: string, signal: AbortSignal): Promise<BackupFacts['digests']> {
  try {
    const index = await openDigestIndex(path);
    try {
      for await (const _ of untilAborted(index.runs, signal)) continue;
    } finally {
      await index.close();
    }
    const { backupId, virtualSizeBytes } = index.header;
    return { state: 'read', value: { backupId, virtualSize: virtualSizeBytes } };
  } catch (error) {
    if (isStrataError(error, 'file_missing')) return { state: 'missing' };
    if (isStrataError(error, 'digest_index_invalid')) return { state: 'invalid', reason: error.message };
    return { state: 'unreadable', reason: readingTrouble(error) };
  }
}

/** True for an index that belongs to its backup, so that content ids may be computed with it. */
export function digestsBelong(row: Layer, digests: BackupFacts['digests']): boolean {
  return (
    digests.state === 'read' &&
    digests.value.backupId === row.id &&
    digests.value.virtualSize === row.virtualSize
  );
}

/**
 * The content id of a restore point, from the indexes of its layers.
 * @param layers paths of the indexes, topmost first
 */
export async function computeContentId(
  layers: readonly string[],
  virtualSize: number,
  signal: AbortSignal,
): Promise<ContentFact> {
  try {
    const runs = untilAborted(effectiveDigests(layers, virtualSize), signal);
    return { state: 'computed', id: await contentIdOfRuns(runs, virtualSize) };
  } catch (error) {
    if (isStrataError(error, 'digest_index_invalid')) return { state: 'impossible', reason: error.message };
    if (isStrataError(error, 'file_missing')) return { state: 'skipped' };
    return { state: 'impossible', reason: readingTrouble(error) };
  }
}
