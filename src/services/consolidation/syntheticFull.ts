import { join } from 'node:path';
import { getMaintenanceJob } from '../../db/job/maintenance.js';
import { byId, isSound, type Layer, loadLayers, wholeLineageOf } from '../chain/index.js';
import { completeWithResult } from '../../db/job/settle.js';
import { latestBackupOf } from '../../db/chain/chains.js';
import { StrataError } from '../../shared/errors.js';
import { removeDeadPartials } from '../repository/partials.js';
import type { HeldLease } from '../job/holdLease.js';
import type { Outcome, ReportProgress } from '../deps.js';
import { assertRepository } from '../repository/marker.js';
import { assertWritable } from '../repository/writable.js';
import { standAlone } from './merge.js';
import { createProgress, worthOf } from './progress.js';
import { type ConsolidationDeps, journal } from './run.js';
import { loadPlace, type Work } from './work.js';

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
export async function runSyntheticFull(
  deps: ConsolidationDeps,
  held: HeldLease,
  jobId: string,
  report: ReportProgress,
): Promise<Outcome & { result: SyntheticFullResult }> {
  const job = await getMaintenanceJob(deps.ds, jobId);
  const place = await loadPlace(deps.ds, job.chainId);
  await assertRepository(place.root, place.repository.id);
  const directory = join(place.root, place.directory);
  await removeDeadPartials(directory, held.lease.fence, held.signal);
  await assertWritable(directory, held.lease.fence);
  const latest = await latestBackupOf(deps.ds, job.chainId);
  const layers = await loadLayers(deps.ds, job.chainId);
  const [top, ...below] = planSyntheticFull(layers, job.chainId, latest);
  if (below.length > 0) {
    const progress = createProgress(report, worthOf([top, ...below]));
    const work: Work = { deps, held, progress, place };
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
