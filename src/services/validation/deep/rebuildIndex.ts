import { dirname, join } from 'node:path';
import type { Layer } from '../../chain/index.js';
import { contentId, type HashPool, indexLayer } from '../../../datapath/index.js';
import { saveProof } from '../../../db/chain/layerProofs.js';
import type { HeldLease } from '../../job/holdLease.js';
import type { ServiceDeps } from '../../deps.js';
import { publishFile, removeFiles, syncDirectory } from '../../repository/durable.js';
import { partialFiles, sidecarsOf } from '../../repository/layout.js';
import { assertRepository } from '../../repository/marker.js';
import { quarantineFile } from '../../repository/quarantine.js';

export interface IndexRebuild {
  deps: Pick<ServiceDeps, 'ds' | 'clock' | 'scratchDir'>;
  held: HeldLease;
  repository: { id: string; rootPath: string };
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
  const { deps, held, repository, row, below } = rebuild;
  const root = repository.rootPath;
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
      rate: held.rate,
      signal: rebuild.reading,
      scratchDir: deps.scratchDir,
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
  { deps, held, repository, row }: IndexRebuild,
  partial: string,
  digests: string,
): Promise<void> {
  const root = repository.rootPath;
  await assertRepository(root, repository.id);
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
