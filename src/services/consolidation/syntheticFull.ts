import { byId, isSound, type Layer, loadLayers, wholeLineageOf } from '../chain/index.js';
import { completeWithResult } from '../../db/job/settle.js';
import { latestBackupOf } from '../../db/chain/chains.js';
import { StrataError } from '../../shared/errors.js';
import { clearPlace, openPlace } from '../job/openPlace.js';
import type { Under } from '../job/under.js';
import type { Outcome } from '../deps.js';
import { assertWritable } from '../repository/writable.js';
import { standAlone } from './merge.js';
import { createProgress, worthOf } from './progress.js';
import { journal } from './run.js';
import type { Work } from './work.js';

/** The `result` of a job. */
export interface SyntheticFullResult {
  backup_id: string;
  /** Layers that it stood on before; 0 where it was a full already and nothing was done. */
  layers_before: number;
}

/**
 * Makes the latest backup of a chain a full, without its source: its file is replaced by one that stands alone. The
 * backups below stay as they are, and increments go on upon it. Killed at any point, the next attempt begins anew, or
 * finds it done.
 * @throws wrong_state when the chain has no backup or there is no room; backup_damaged when it is not healthy
 * @throws content_mismatch, image_corrupt, repository_unavailable, manifest_invalid, lease_lost, database_unavailable
 */
export async function runSyntheticFull(under: Under): Promise<Outcome & { result: SyntheticFullResult }> {
  const { deps, held, report } = under;
  const place = await openPlace(under, 'maintenance');
  await assertWritable(await clearPlace(under, place), held.lease.fence);
  const latest = await latestBackupOf(deps.ds, place.chainId);
  const layers = await loadLayers(deps.ds, place.chainId);
  const [top, ...below] = planSyntheticFull(layers, place.chainId, latest);
  if (below.length > 0) {
    const progress = createProgress(report, worthOf([top, ...below]));
    const work: Work = { ...under, progress, place };
    await standAlone(work, [top, ...below], journal(work, 0));
  }
  const result = { backup_id: top.id, layers_before: below.length };
  return { next: await completeWithResult(deps.ds, held.lease, { ...result }), result };
}

/**
 * The layers of which a synthetic full is made, topmost first: the latest backup and all that it stands on. Pure.
 * @throws wrong_state when the chain has no backup; backup_damaged when one of them is not healthy; lineage_broken
 */
export function planSyntheticFull(
  layers: readonly Layer[],
  chainId: string,
  latest: string | null,
): [Layer, ...Layer[]] {
  const [top, ...below] = latest === null ? [] : wholeLineageOf(byId(layers), latest);
  if (!top) throw new StrataError('wrong_state', `Chain ${chainId} has no backup.`);
  const bad = [top, ...below].find((layer) => !isSound(layer));
  if (bad)
    throw new StrataError('backup_damaged', `Backup ${bad.id} is not healthy: validate the chain first.`);
  return [top, ...below];
}
