import { untilAborted } from '../untilAborted.js';
import type { DigestHeader } from './format.js';
import { effectiveDigests, providedDigests } from './merge.js';
import { createDigestWriter } from './writer.js';

/**
 * Writes one index for what several layers provide together, flushed; nothing is left of a failure.
 * @param target a temporary path, which must not exist
 * @param layers paths of the layers' indexes, topmost first
 * @param alone the merged layer stands on nothing: every block is provided, as the index of a full must
 * @throws file_exists, digest_index_invalid, or the signal's reason
 */
export async function mergeIndexes(
  target: string,
  header: DigestHeader,
  { layers, alone, signal }: { layers: readonly string[]; alone: boolean; signal: AbortSignal },
): Promise<void> {
  const writer = await createDigestWriter(target, header);
  try {
    const runs = (alone ? effectiveDigests : providedDigests)(layers, header.virtualSizeBytes);
    for await (const run of untilAborted(runs, signal)) await writer.append([run]);
    await writer.finish();
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}
