import { assertNoCircle, byId, type Layer, lineageOf, restsOnSound } from '../chain/index.js';
import type { MergePlan, PlanStep, PlannedLayer, RefusalCode } from './facts.js';

interface Standing {
  byId: ReadonlyMap<string, PlannedLayer>;
  children: ReadonlyMap<string, readonly PlannedLayer[]>;
  /** Backups whose files stay. */
  stay: Set<string>;
  /** Backups on which nothing stands in the end. */
  removed: Set<string>;
  refused: Map<string, RefusalCode>;
}

/**
 * From what is to be kept to the steps that remove the rest: leaves go with their files, all else is merged into the next
 * kept backup above it. What must not go stays, with its reason. Pure; planned again after any step, it goes on where
 * that step ended.
 * @param layers every layer of a chain
 * @param keep ids of restore points; an expired backup is never kept
 * @throws lineage_broken where the parents of any layer go in a circle
 */
export function planMerges(layers: readonly PlannedLayer[], keep: ReadonlySet<string>): MergePlan {
  const standing = standingOf(layers);
  const { stay, removed, refused } = standing;
  for (const layer of layers) {
    if (layer.expired) continue;
    if (keep.has(layer.id)) stay.add(layer.id);
    else if (layer.protected) refuse(standing, layer, 'protected');
    else if (layer.inUse) refuse(standing, layer, 'in_use');
  }
  // A child is always newer than its parent: newest first, every child has been decided before its parent.
  const newestFirst = [...layers].sort((a, b) => b.seq - a.seq);
  for (const layer of newestFirst) {
    if (stay.has(layer.id)) continue;
    const above = standingOn(standing, layer.id).length;
    if ((layer.strangers ?? 0) > 0) refuse(standing, layer, 'stranger');
    else if (above === 0) removed.add(layer.id);
    else if (above > 1) refuse(standing, layer, 'fan_out');
  }
  refuseUnhealthy(standing, newestFirst);
  const removals = newestFirst.filter(({ id }) => removed.has(id)).map(removal);
  const merges = newestFirst.filter(({ id }) => stay.has(id)).flatMap((top) => mergeInto(standing, top));
  return {
    steps: [...removals, ...merges.reverse()],
    refused: [...refused].map(([backup_id, reason]) => ({ backup_id, reason })),
  };
}

function standingOf(layers: readonly PlannedLayer[]): Standing {
  const children = new Map<string, PlannedLayer[]>();
  for (const layer of layers) {
    if (layer.parentId !== null)
      children.set(layer.parentId, [...(children.get(layer.parentId) ?? []), layer]);
  }
  const known = byId(layers);
  assertNoCircle(known);
  return { byId: known, children, stay: new Set(), removed: new Set(), refused: new Map() };
}

function refuse({ stay, refused }: Standing, { id }: PlannedLayer, reason: RefusalCode): void {
  stay.add(id);
  refused.set(id, reason);
}

/** What will stand on a backup when the leaves are gone. */
function standingOn({ children, removed }: Standing, id: string): PlannedLayer[] {
  return (children.get(id) ?? []).filter((child) => !removed.has(child.id));
}

/** A merge needs a sound top and all below it: it would otherwise prove nothing, or bake the damage in. */
function refuseUnhealthy(standing: Standing, newestFirst: readonly PlannedLayer[]): void {
  for (const top of newestFirst) {
    if (!standing.stay.has(top.id)) continue;
    const run = runBelow(standing, top);
    if (run.length === 0 || restsOnSound(lineageOf(standing.byId, top.id))) continue;
    for (const layer of run) refuse(standing, layer, 'damaged');
  }
}

/** What lies between a backup that stays and the next one below it that does, topmost first. */
function runBelow(standing: Standing, top: PlannedLayer): PlannedLayer[] {
  const [, ...below] = lineageOf(standing.byId, top.id).layers;
  const end = below.findIndex(({ id }) => standing.stay.has(id));
  return end === -1 ? below : below.slice(0, end);
}

function mergeInto(standing: Standing, top: PlannedLayer): PlanStep[] {
  const run = runBelow(standing, top);
  const base = run.at(-1);
  if (!base) return [];
  return [
    {
      action: 'merge',
      backup_id: top.id,
      removes: run.map(({ id }) => id),
      onto: base.parentId,
      reason: 'stands_on_removed',
      bytes: comesFree([top, ...run]),
    },
  ];
}

/** The merged file holds at least what the largest of the files holds: all else may be doubled in it, and come free. */
function comesFree(files: readonly PlannedLayer[]): number {
  const sizes = files.map(({ sizeBytes }) => sizeBytes);
  return sizes.reduce((sum, size) => sum + size, 0) - Math.max(...sizes);
}

function removal({ id, expired, sizeBytes }: PlannedLayer): PlanStep {
  return {
    action: 'remove',
    backup_id: id,
    reason: expired ? 'expired' : 'not_kept',
    bytes: sizeBytes,
  };
}

/** Every backup that a plan gives up, in the order in which its file goes. */
export function removedBy({ steps }: Pick<MergePlan, 'steps'>): string[] {
  return steps.flatMap((step) => (step.action === 'remove' ? [step.backup_id] : step.removes));
}

/**
 * Of what a policy removes, all but the newest backup that can be relied on, where no other such would stay: since the policy
 * has decided, a newer one may have been found damaged. Who names backups by himself is not held up. Pure.
 */
export function sparingLastSound(layers: readonly Layer[], remove: readonly string[]): string[] {
  const known = byId(layers);
  const sound = layers.filter(({ id, expired }) => !expired && restsOnSound(lineageOf(known, id)));
  if (sound.some(({ id }) => !remove.includes(id))) return [...remove];
  const [newest] = sound.sort((a, b) => b.seq - a.seq);
  return remove.filter((id) => id !== newest?.id);
}
