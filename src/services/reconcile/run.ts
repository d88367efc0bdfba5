import { join } from 'node:path';
import { noteCompared } from '../../db/chain/health.js';
import { completeWithResult } from '../../db/job/settle.js';
import { throwIfAborted } from '../../shared/abort.js';
import { assertPlace, openPlace, type Place } from '../job/openPlace.js';
import type { Under } from '../job/under.js';
import type { Outcome } from '../deps.js';
import { listNames } from '../repository/scan.js';
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
export async function runReconcile(under: Under): Promise<Outcome & { result: ReconcileResult }> {
  const { deps, held, report } = under;
  const place = await openPlace(under, 'maintenance');
  report({ phase: 'comparing', bytes_done: 0, bytes_total: null });
  const actions = await planChain(under, place);
  const broughtBack = await bringBack(under, place, actions);
  const quarantined = await quarantine(under, place, actions);
  const written = await writeManifests(under, place, actions);
  const result = { actions, quarantined, brought_back: broughtBack, manifests_written: written };
  const next = await completeWithResult(deps.ds, held.lease, { ...result }, (tx) =>
    noteCompared(tx, place.chainId, {
      damaged: idsOf(actions, 'mark_damaged'),
      suspect: idsOf(actions, 'mark_suspect'),
    }),
  );
  return { next, result };
}

async function planChain({ deps, held, io }: Under, place: Place): Promise<Action[]> {
  const { ds, clock } = deps;
  const { signal } = io;
  const { root, directory, repository } = place;
  const names = await listNames(join(root, directory), signal);
  const allImages = () => readAllImages(repository, signal);
  const about = { ...place, repositoryId: repository.id, names, holder: held.lease };
  const facts = await collectDirectory({ ds, ...about, allImages, signal });
  // A repository that went away in the meantime looks as if its files were gone (invariant 6).
  await assertPlace(place);
  return planDirectory(facts, { nowMs: clock.now().getTime(), graceMs: GRACE_MS });
}

/** Before each change of a file. */
async function assertMine({ held, io }: Under, place: Place): Promise<void> {
  throwIfAborted(io.signal);
  await held.assertHeld();
  await assertPlace(place);
}

async function bringBack(under: Under, place: Place, actions: readonly Action[]): Promise<string[]> {
  const back: string[] = [];
  for (const { action, file } of actions) {
    if (action !== 'bring_back') continue;
    await assertMine(under, place);
    back.push(...(await bringBackImage(place.root, file, under.io.signal)));
  }
  return back;
}

async function writeManifests(under: Under, place: Place, actions: readonly Action[]): Promise<string[]> {
  const written: string[] = [];
  for (const { action, backup_id: backupId, file } of actions) {
    if (action !== 'write_manifest' || backupId === null) continue;
    throwIfAborted(under.io.signal);
    if (await writeManifest(under, place, backupId)) written.push(file);
  }
  return written;
}

async function quarantine(under: Under, place: Place, actions: readonly Action[]): Promise<string[]> {
  const { deps, held } = under;
  const moved: string[] = [];
  for (const { action, file, reason, chain_id, backup_id } of actions) {
    if (action !== 'quarantine') continue;
    await assertMine(under, place);
    const to = await quarantineFile(place.root, file, {
      file,
      reason,
      message: REASONS[reason],
      chain_id,
      backup_id,
      job_id: held.lease.jobId,
      quarantined_at: deps.clock.now().toISOString(),
    });
    if (to !== undefined) moved.push(to);
  }
  return moved;
}

function idsOf(actions: readonly Action[], wanted: Action['action']): string[] {
  return actions.flatMap(({ action, backup_id: id }) => (action === wanted && id !== null ? [id] : []));
}
