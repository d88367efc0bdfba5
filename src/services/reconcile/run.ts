import { join } from 'node:path';
import { noteCompared } from '../../db/chain/health.js';
import { placeOfChain } from '../../db/chain/place.js';
import { getMaintenanceJob } from '../../db/job/maintenance.js';
import { completeWithResult } from '../../db/job/settle.js';
import { throwIfAborted } from '../../shared/abort.js';
import type { HeldLease } from '../job/holdLease.js';
import type { Outcome, ReportProgress, ServiceDeps } from '../deps.js';
import { listNames } from '../repository/scan.js';
import { diskDirectory } from '../repository/layout.js';
import { assertRepository } from '../repository/marker.js';
import { readAllImages } from '../repository/standing/index.js';
import { collectDirectory } from './collect.js';
import { type Action, REASONS } from './facts.js';
import { planDirectory } from './plan.js';
import { GRACE_MS } from './planRepository.js';
import { bringBackImage } from '../repository/bringBack.js';
import { quarantineFile } from '../repository/quarantine.js';
import { writeManifest } from './writeManifest.js';

/** The `result` of a job. */
export interface ReconcileResult {
  actions: Action[];
  /** Where the files that were set aside are now, relative to the root. */
  quarantined: string[];
  /** Images and sidecars that have their place again, relative to the root. */
  brought_back: string[];
  /** Manifests that were written anew, relative to the root. */
  manifests_written: string[];
}

interface Place {
  jobId: string;
  chainId: string;
  repositoryId: string;
  root: string;
  vmContextId: string;
  diskId: number;
}

/**
 * Brings one chain's catalogue and directory in line, under the chain's lease.
 * The plan that led to the job is not believed: it is made anew, here, where nobody else works on the chain.
 *
 * Steps, and what a kill after each leaves:
 *  1. facts and plan                        nothing new
 *  2. images back from the quarantine       some of them there; the next attempt plans with the rest
 *  3. unknown files into quarantine         the same; each image before what it stands on
 *  4. manifests anew                        some of them; the next attempt plans with the rest
 *  5. fenced commit: health and the result  all of it
 * @throws repository_unavailable when the repository is not there or anything in it cannot be looked at; then nothing is marked
 */
export async function runReconcile(
  deps: Pick<ServiceDeps, 'ds' | 'clock'>,
  held: HeldLease,
  jobId: string,
  report: ReportProgress,
): Promise<Outcome & { result: ReconcileResult }> {
  const place = await loadPlace(deps.ds, jobId);
  report({ phase: 'comparing', bytes_done: 0, bytes_total: null });
  const actions = await planChain(deps, held, place);
  const broughtBack = await bringBack(held, place, actions);
  const quarantined = await setAside(deps, held, place, actions);
  const written = await writeManifests(deps, held, place, actions);
  const result = { actions, quarantined, brought_back: broughtBack, manifests_written: written };
  const next = await completeWithResult(deps.ds, held.lease, { ...result }, (tx) =>
    noteCompared(tx, place.chainId, {
      damaged: idsOf(actions, 'mark_damaged'),
      suspect: idsOf(actions, 'mark_suspect'),
    }),
  );
  return { next, result };
}

async function loadPlace(ds: ServiceDeps['ds'], jobId: string): Promise<Place> {
  const { chainId } = await getMaintenanceJob(ds, jobId);
  const { repositoryId, rootPath: root, vmContextId, diskId } = await placeOfChain(ds, chainId);
  return { jobId, chainId, repositoryId, root, vmContextId, diskId };
}

async function planChain(
  { ds, clock }: Pick<ServiceDeps, 'ds' | 'clock'>,
  { lease, signal }: HeldLease,
  place: Place,
): Promise<Action[]> {
  const { root, repositoryId } = place;
  const directory = diskDirectory(place.vmContextId, place.diskId);
  await assertRepository(root, repositoryId);
  const names = await listNames(join(root, directory), signal);
  const allImages = () => readAllImages({ id: repositoryId, rootPath: root }, signal);
  const facts = await collectDirectory({ ds, ...place, directory, names, holder: lease, allImages, signal });
  // A repository that went away in the meantime looks as if its files were gone (invariant 6).
  await assertRepository(root, repositoryId);
  return planDirectory(facts, { nowMs: clock.now().getTime(), graceMs: GRACE_MS });
}

async function bringBack(
  held: HeldLease,
  { root, repositoryId }: Place,
  actions: readonly Action[],
): Promise<string[]> {
  const back: string[] = [];
  for (const { action, file } of actions) {
    if (action !== 'bring_back') continue;
    throwIfAborted(held.signal);
    await held.assertHeld();
    await assertRepository(root, repositoryId);
    back.push(...(await bringBackImage(root, file, held.signal)));
  }
  return back;
}

async function writeManifests(
  deps: Pick<ServiceDeps, 'ds' | 'clock'>,
  held: HeldLease,
  { root, repositoryId }: Place,
  actions: readonly Action[],
): Promise<string[]> {
  const written: string[] = [];
  for (const { action, backup_id: backupId, file } of actions) {
    if (action !== 'write_manifest' || backupId === null) continue;
    throwIfAborted(held.signal);
    const repository = { id: repositoryId, root };
    if (await writeManifest({ deps, held, repository, backupId })) written.push(file);
  }
  return written;
}

async function setAside(
  { clock }: Pick<ServiceDeps, 'clock'>,
  held: HeldLease,
  { root, repositoryId, jobId }: Place,
  actions: readonly Action[],
): Promise<string[]> {
  const moved: string[] = [];
  for (const { action, file, reason, chain_id, backup_id } of actions) {
    if (action !== 'quarantine') continue;
    throwIfAborted(held.signal);
    await held.assertHeld();
    await assertRepository(root, repositoryId);
    const to = await quarantineFile(root, file, {
      file,
      reason,
      message: REASONS[reason],
      chain_id,
      backup_id,
      job_id: jobId,
      quarantined_at: clock.now().toISOString(),
    });
    if (to !== undefined) moved.push(to);
  }
  return moved;
}

function idsOf(actions: readonly Action[], wanted: Action['action']): string[] {
  return actions.flatMap(({ action, backup_id: id }) => (action === wanted && id !== null ? [id] : []));
}
