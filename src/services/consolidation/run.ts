import { byId, expireBackups, type Layer, loadLayers, wholeLineageOf } from '../chain/index.js';
import { recordStep } from '../../db/job/journal.js';
import { completeWithResult } from '../../db/job/settle.js';
import type { ConsolidateParams } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { clearPlace, openPlace } from '../job/openPlace.js';
import type { Under } from '../job/under.js';
import type { Outcome, ReportProgress } from '../deps.js';
import { recordCapacity } from '../job/recordCapacity.js';
import { adoptHolds } from '../protection/holds.js';
import { adoptImmutableDays } from '../protection/immutability.js';
import { assertFootingKnown } from '../repository/standing/index.js';
import { assertWritable } from '../repository/writable.js';
import { type MergePlan, type PlannedLayer, type PlanStep, type Refusal, REFUSALS } from './facts.js';
import { sparingLastSound } from './plan.js';
import { expireManifests } from './manifests.js';
import { mergeRun, type Note } from './merge.js';
import { planMerges, removedBy } from './plan.js';
import { createProgress, type Progress, worthOf } from './progress.js';
import { readReferences, type References, withStrangers } from './references.js';
import { removeLayers } from './removeLayers.js';
import { proveSources, sourcesOf, worthOfSources } from './sources.js';
import type { Strategy } from './strategy.js';
import type { Work } from './work.js';

/** The `result` of a job. */
export interface ConsolidationResult {
  steps: (PlanStep & { strategy?: Strategy })[];
  /** What stays although it was to go. */
  refused: Refusal[];
  /** Free bytes of the file system. */
  available_before: number;
  available_after: number;
}

/**
 * Removes backups from a chain under its lease: leaves with their files, the others by merging (decision 14). Planned
 * anew by every attempt; what an attempt before has done is not planned again.
 * @param forced a strategy for every merge instead of the one that fits
 * @throws backup_in_use when none of the wanted backups may go
 * @throws content_mismatch, image_corrupt: what would be merged, or a merged file, was not proved; the points that stay are as
 *   they were
 * @throws image_unreadable when nobody knows what a file beside them stands on; nothing is removed then
 * @throws repository_unavailable, manifest_invalid, chain_broken, lineage_broken, no_space, lease_lost, database_unavailable
 */
export async function runConsolidation(
  under: Under,
  forced?: Strategy,
): Promise<Outcome & { result: ConsolidationResult }> {
  const { deps, held, io, report } = under;
  const place = await openPlace(under, 'maintenance');
  report({ phase: 'planning', bytes_done: 0, bytes_total: null });
  const directory = await clearPlace(under, place);
  // Known before any point is given up.
  await assertWritable(directory, held.lease.fence);
  const before = await recordCapacity(deps.ds, place.repository, deps.clock.now());
  const { remove: wanted, by_policy: byPolicy } = place.job.params as ConsolidateParams;
  // The catalogue may be an older copy than what has been protected since.
  const told = { ds: deps.ds, repository: place.repository, signal: io.signal };
  await adoptHolds(told, wanted);
  await adoptImmutableDays(told);
  const references = await readReferences(place.root, place.directory, io.signal);
  const layers = withStrangers(await loadLayers(deps.ds, place.chainId), references);
  const remove = byPolicy ? sparingLastSound(layers, wanted) : wanted;
  const plan = planRemoval(layers, remove);
  refuseAll(layers, remove, plan);
  assertRemovable(layers, plan, references);
  await recordStep(deps.ds, held.lease, 'planned', 'done', { ...plan });
  const sources = sourcesOf(layers, plan);
  const work: Work = { ...under, progress: progressOf(report, layers, plan, sources), place };
  await proveSources(work, layers, sources);
  const steps = await carryOut(work, layers, plan, forced);
  const after = await recordCapacity(deps.ds, place.repository, deps.clock.now());
  const result: ConsolidationResult = {
    steps,
    refused: plan.refused,
    available_before: before.availableBytes,
    available_after: after.availableBytes,
  };
  return { next: await completeWithResult(deps.ds, held.lease, { ...result }), result };
}

function progressOf(
  report: ReportProgress,
  layers: readonly Layer[],
  { steps }: MergePlan,
  sources: readonly Layer[],
): Progress {
  const merged = steps.flatMap((step) => (step.action === 'merge' ? [step.backup_id, ...step.removes] : []));
  const worth = worthOf(layers.filter(({ id }) => merged.includes(id)));
  return createProgress(report, worth + worthOfSources(sources));
}

/** The plan that removes these and keeps every other restore point. Pure. */
export function planRemoval(layers: readonly PlannedLayer[], remove: readonly string[]): MergePlan {
  const keep = layers.filter(({ id, expired }) => !expired && !remove.includes(id));
  return planMerges(layers, new Set(keep.map(({ id }) => id)));
}

/** @throws backup_in_use when nothing of what was asked for may be done */
function refuseAll(layers: readonly Layer[], remove: readonly string[], { refused }: MergePlan): void {
  const wanted = layers.filter(({ id, expired }) => !expired && remove.includes(id));
  const reasons = refused.filter(({ backup_id }) => wanted.some(({ id }) => id === backup_id));
  if (wanted.length === 0 || reasons.length < wanted.length) return;
  throw refusalError(reasons);
}

/** What is told of backups that must not go. */
export function refusalError(refused: readonly Refusal[]): StrataError {
  const list = refused.map(({ backup_id, reason }) => `${backup_id}: ${REFUSALS[reason]} (${reason})`);
  return new StrataError('backup_in_use', list.join(' '), { details: { refused } });
}

/**
 * Before any point is given up. Of a file that goes itself, without being merged, nobody need know what it stands on.
 * @throws image_unreadable
 */
function assertRemovable(layers: readonly Layer[], { steps }: MergePlan, { images }: References): void {
  if (steps.length === 0) return;
  const removed = new Set(steps.flatMap((step) => (step.action === 'remove' ? [step.backup_id] : [])));
  assertFootingKnown(
    images,
    layers.filter(({ id }) => removed.has(id)).map(({ path }) => path),
  );
}

async function carryOut(
  work: Work,
  layers: readonly Layer[],
  plan: MergePlan,
  forced: Strategy | undefined,
): Promise<ConsolidationResult['steps']> {
  const { deps, held, place } = work;
  const standing = byId(layers);
  const known = (id: string): Layer => {
    const layer = standing.get(id);
    if (!layer) throw new RangeError(`${id} is no layer of the chain.`);
    return layer;
  };
  const gone = removedBy(plan).map(known);
  // Everything that goes disappears from the restore points first, and then from what a rebuild would take in.
  const points = gone.filter(({ expired }) => !expired).map(({ id }) => id);
  await expireBackups(deps.ds, held.lease, points);
  await held.assertHeld();
  await expireManifests(place, held.lease.fence, gone, deps.clock.now());
  await recordStep(deps.ds, held.lease, 'expired', 'done', { backup_ids: gone.map(({ id }) => id) });
  const removals = plan.steps.filter((step) => step.action === 'remove');
  await removeLayers(
    work,
    removals.map((step) => known(step.backup_id)),
  );
  const done: ConsolidationResult['steps'] = [...removals];
  for (const step of plan.steps) {
    if (step.action !== 'merge') continue;
    const run = step.removes.map(known);
    const [first, ...rest] = run;
    if (!first) continue;
    const below = step.onto === null ? [] : wholeLineageOf(standing, step.onto);
    const top = known(step.backup_id);
    const input = { top, run: [first, ...rest] as const, below, ...(forced ? { forced } : {}) };
    const strategy = await mergeRun(work, input, journal(work, done.length));
    // The merges above this one stand on it as it is now.
    standing.set(top.id, { ...top, parentId: step.onto, type: (rest.at(-1) ?? first).type });
    await removeLayers(work, run);
    await recordStep(deps.ds, held.lease, `${done.length}.cleaned`, 'done', { backup_id: top.id });
    done.push({ ...step, strategy });
  }
  return done;
}

/** Steps of the journal have the number of the plan's step that they belong to. */
export function journal({ deps, held }: Work, number: number): Note {
  return (step, data) => recordStep(deps.ds, held.lease, `${number}.${step}`, 'done', data);
}
