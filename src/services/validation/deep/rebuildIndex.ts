import { dirname, join } from 'node:path';
import type { Layer } from '../../chain/index.js';
import { contentId, type HashPool, indexLayer } from '../../../datapath/index.js';
import { saveProof } from '../../../db/chain/layerProofs.js';
import { assertPlace, type Place } from '../../job/openPlace.js';
import type { Under } from '../../job/under.js';
import { publishFile, removeFiles, syncDirectory } from '../../repository/durable.js';
import { partialFiles, sidecarsOf } from '../../repository/layout.js';
import { quarantineFile } from '../../repository/quarantine.js';

export interface IndexRebuild extends Under {
  place: Place;
  pool: HashPool;
  row: Layer;
  /** Digest indexes of what it stands on, topmost first, all of them sound. */
  below: readonly string[];
  onRead: (bytes: number) => void;
  /** Ends the reading; what is proved by then is published under the lease alone. */
  reading: AbortSignal;
}

/**
 * Builds the digest index of an image anew by reading what it holds, and keeps it only if it gives, with the indexes below,
 * the content id that the catalogue has: that is then the proof that every block of the image is right, too. What stood in
 * its place is set aside. Killed anywhere, the next validation begins again.
 * @returns false where the content is not the recorded one: the image is not what was backed up
 * @throws as `indexLayer`; lease_lost, repository_unavailable
 */
export async function rebuildIndex(rebuild: IndexRebuild): Promise<boolean> {
  const { deps, held, io, row, below } = rebuild;
  const { root } = rebuild.place;
  const files = sidecarsOf(row.path);
  const partial = join(root, partialFiles(files, held.lease.fence).digests);
  await removeFiles([partial]);
  try {
    await indexLayer({
      image: join(root, row.path),
      overlay: row.parentId !== null,
      digestPath: partial,
      virtualSizeBytes: row.virtualSize,
      backupId: row.id,
      pool: rebuild.pool,
      ...io,
      signal: rebuild.reading,
      onProgress: ({ bytesDone }) => rebuild.onRead(bytesDone),
    });
    const layers = [partial, ...below];
    const id = await contentId({ layers, virtualSizeBytes: row.virtualSize, signal: rebuild.reading });
    if (id !== row.contentId) return false;
    await publishIndex(rebuild, partial, files.digests);
    await saveProof(deps.ds, held.lease, row.id, null);
    return true;
  } finally {
    await removeFiles([partial]);
  }
}

async function publishIndex(
  { deps, held, place, row }: IndexRebuild,
  partial: string,
  digests: string,
): Promise<void> {
  const { root } = place;
  await assertPlace(place);
  await held.assertHeld();
  await quarantineFile(root, digests, {
    file: digests,
    reason: 'digests_rebuilt',
    message: 'The digest index did not belong to its image or did not match its checksum; it was rebuilt.',
    chain_id: row.chainId,
    backup_id: row.id,
    job_id: held.lease.jobId,
    quarantined_at: deps.clock.now().toISOString(),
  });
  await publishFile(partial, join(root, digests));
  await syncDirectory(dirname(join(root, digests)));
}
