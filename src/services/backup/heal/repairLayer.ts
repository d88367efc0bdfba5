import { stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createHashPool, intoImage, proveLayer, recoverBlocks } from '../../../datapath/index.js';
import { saveProof } from '../../../db/chain/layerProofs.js';
import { checkImage } from '../../../qcow2/index.js';
import type { Attempt } from '../attempt.js';
import type { OpenSource } from '../../../datapath/index.js';
import { recordCapacity } from '../../job/recordCapacity.js';
import { tryClone } from '../../repository/clone.js';
import { copyReadable } from '../../repository/copyReadable.js';
import {
  allocatedBytes,
  removeFiles,
  renameOver,
  syncDirectory,
  syncFile,
} from '../../repository/durable.js';
import { headerDigest } from '../../repository/imageHeader.js';
import { type BackupFiles, partialFiles, sidecarsOf } from '../../repository/layout.js';
import { readManifest } from '../../repository/manifest.js';
import { assertPlace } from '../../job/openPlace.js';
import { keepInQuarantine } from '../../repository/quarantine.js';
import { digestPaths } from '../transfer.js';
import type { LayerToHeal } from '../../chain/index.js';

/** A time that goes through a floating-point number of seconds may lose a microsecond: not one from the middle of its millisecond. */
const WITHIN_MS = 0.5;

/** Why a layer was not healed; `not_current`: the source holds something else by now. */
export type NotHealed = 'not_current' | 'no_room' | 'not_as_published' | 'not_proved';

export interface Repair extends Attempt {
  source: OpenSource;
}

/** Looks whether the source still holds what a layer has lost. */
export function isCurrent({ context, io, source }: Repair, step: LayerToHeal): Promise<boolean> {
  const [digests = ''] = digestPaths(context.root, [step.layer]);
  return recoverBlocks({
    source,
    digests,
    ranges: step.ranges,
    virtualSizeBytes: step.layer.virtualSize,
    ...io,
    onPiece: () => Promise.resolve(),
  });
}

/**
 * Makes a layer's file again what it was: a private copy gets the lost blocks from the source, is read from its beginning to
 * its end and compared with its digest index, and takes the file's name by one rename; the damaged file goes to
 * quarantine. The file has the recorded length, time and header again, so that no sidecar changes. Killed anywhere, the
 * name belongs to the one file or the other, and both are what the catalogue says or better.
 * @throws as `recoverBlocks`, `proveLayer`; lease_lost, repository_unavailable, system errors of the copy
 */
export async function repairLayer(repair: Repair, step: LayerToHeal): Promise<NotHealed | undefined> {
  const { context, held } = repair;
  const { root } = context;
  const files = sidecarsOf(step.layer.path);
  const copy = join(root, partialFiles(files, held.lease.fence).image);
  await removeFiles([copy]);
  try {
    if (!(await copyFile(repair, join(root, files.image), copy))) return 'no_room';
    if (!(await putBack(repair, step, copy))) return 'not_current';
    if (!(await becomesAsPublished(root, files, step, copy))) return 'not_as_published';
    if (!(await isProved(repair, step, copy))) return 'not_proved';
    await takePlace(repair, step, files, copy);
    return undefined;
  } finally {
    await removeFiles([copy]);
  }
}

/**
 * A clone where the file system can, else a copy where it leaves the reserve. What the disk does not give of it is what is put
 * back, or the copy is not proved.
 */
async function copyFile({ deps, context, io }: Repair, from: string, to: string): Promise<boolean> {
  if (await tryClone(from, to)) return true;
  const { repository } = context;
  const { availableBytes } = await recordCapacity(deps.ds, repository, deps.clock.now());
  if (availableBytes - (await allocatedBytes(from)) < repository.minFreeBytes) return false;
  await copyReadable({ from, to, ...io });
  return true;
}

function putBack({ context, io, source }: Repair, step: LayerToHeal, copy: string): Promise<boolean> {
  const [digests = ''] = digestPaths(context.root, [step.layer]);
  const virtualSizeBytes = step.layer.virtualSize;
  return intoImage({ image: copy, virtualSizeBytes, ...io }, (client) =>
    recoverBlocks({
      source,
      digests,
      ranges: step.ranges,
      virtualSizeBytes,
      ...io,
      onPiece: (offset, bytes) => client.write(offset, bytes),
    }),
  );
}

/** The blocks were written over where they lay: all that the manifest says of the file holds again, its time included. */
async function becomesAsPublished(
  root: string,
  files: BackupFiles,
  { layer }: LayerToHeal,
  copy: string,
): Promise<boolean> {
  const manifest = await readManifest(join(root, files.manifest));
  if (manifest?.backup_id !== layer.id) return false;
  const { size } = await stat(copy);
  const header = manifest.header_sha256 ?? (await headerDigest(join(root, files.image)));
  if (size !== manifest.file_length || (await headerDigest(copy)) !== header) return false;
  const seconds = (manifest.file_mtime_ms + WITHIN_MS) / 1000;
  await utimes(copy, seconds, seconds);
  await syncFile(copy);
  return true;
}

async function isProved(
  { context, io }: Repair,
  { layer, below }: LayerToHeal,
  copy: string,
): Promise<boolean> {
  const { root } = context;
  const check = await checkImage(copy, io);
  if (check.corruptions > 0 || check.checkErrors > 0) return false;
  const [digests = ''] = digestPaths(root, [layer]);
  const pool = createHashPool({ readError: (error) => error as Error });
  try {
    return await proveLayer({
      image: copy,
      digests,
      below: digestPaths(root, below),
      virtualSizeBytes: layer.virtualSize,
      fromBlock: 0,
      pool,
      ...io,
      onStep: ({ wrong, unproved }) => Promise.resolve(wrong.length + unproved.length === 0),
    });
  } finally {
    await pool.close();
  }
}

async function takePlace(
  { deps, context, held }: Repair,
  { layer }: LayerToHeal,
  files: BackupFiles,
  copy: string,
): Promise<void> {
  const { root } = context;
  await assertPlace(context);
  await held.assertHeld();
  await keepInQuarantine(root, files.image, {
    file: files.image,
    reason: 'healed',
    message:
      'It held other content than was backed up, and was replaced by a copy that was put right from the source.',
    chain_id: context.chain.id,
    backup_id: layer.id,
    job_id: held.lease.jobId,
    quarantined_at: deps.clock.now().toISOString(),
  });
  await held.assertHeld();
  await renameOver(copy, join(root, files.image));
  await syncDirectory(dirname(join(root, files.image)));
  await saveProof(deps.ds, held.lease, layer.id, null);
}
