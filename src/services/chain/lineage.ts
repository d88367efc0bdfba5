import { StrataError } from '../../shared/errors.js';

/** What a walk down a chain needs to know of a backup. */
export interface Link {
  id: string;
  parentId: string | null;
}

export interface Lineage<T> {
  /** The backup itself, then its parents down to the full; empty where the backup itself is none of the layers. */
  layers: T[];
  /** Why the walk does not end at a full among the given layers; undefined where it does. */
  broken: string | undefined;
}

/** Layers by their id. */
export function byId<T extends Link>(layers: readonly T[]): Map<string, T> {
  return new Map(layers.map((layer) => [layer.id, layer]));
}

/**
 * A backup and all that it stands on, topmost first. Always ends, also where parents go in a circle. Walked here and not by
 * a recursive query: databases end those after 1,000 steps, MariaDB even without an error. Pure.
 * @param layers every layer of the chain
 */
export function lineageOf<T extends Link>(layers: ReadonlyMap<string, T>, id: string): Lineage<T> {
  const lineage: T[] = [];
  const seen = new Set<string>();
  for (let next: string | null = id; next !== null; ) {
    if (seen.has(next)) return { layers: lineage, broken: `backup ${next} is its own ancestor` };
    const layer = layers.get(next);
    if (layer === undefined)
      return { layers: lineage, broken: `backup ${next} is not a completed backup of the chain` };
    seen.add(next);
    lineage.push(layer);
    next = layer.parentId;
  }
  return { layers: lineage, broken: undefined };
}

/**
 * The same for whoever is about to change files or rows by it.
 * @throws lineage_broken where the parents go in a circle or lead to a backup that is not there
 */
export function wholeLineageOf<T extends Link>(layers: ReadonlyMap<string, T>, id: string): T[] {
  const lineage = lineageOf(layers, id);
  if (lineage.broken !== undefined) throw lineageBroken(lineage.broken);
  return lineage.layers;
}

/**
 * Refuses a chain whose parents go in a circle anywhere. One walk over all layers, however many there are. Pure.
 * @throws lineage_broken
 */
export function assertNoCircle(layers: ReadonlyMap<string, Link>): void {
  const ends = new Set<string>();
  for (const { id } of layers.values()) {
    const walked = new Set<string>();
    for (let at = layers.get(id); at !== undefined && !ends.has(at.id); ) {
      if (walked.has(at.id)) throw lineageBroken(`backup ${at.id} is its own ancestor`);
      walked.add(at.id);
      at = at.parentId === null ? undefined : layers.get(at.parentId);
    }
    for (const each of walked) ends.add(each);
  }
}

function lineageBroken(why: string): StrataError {
  return new StrataError('lineage_broken', `The catalogue does not lead to a full: ${why}.`);
}

/** Ids of the layers that are nobody's parent, in the given order: from these every layer is reached. */
export function tipsOf(layers: readonly Link[]): string[] {
  const parents = new Set(layers.map(({ parentId }) => parentId));
  return layers.filter(({ id }) => !parents.has(id)).map(({ id }) => id);
}

/** The restore points, and the expired backups that carry them: without those on which no restore point stands. Pure. */
export function carrying<T extends Link & { expired: boolean }>(layers: readonly T[]): T[] {
  const known = byId(layers);
  const needed = new Set<string>();
  for (const point of layers) {
    if (point.expired) continue;
    for (let at: T | undefined = point; at !== undefined && !needed.has(at.id); ) {
      needed.add(at.id);
      at = at.parentId === null ? undefined : known.get(at.parentId);
    }
  }
  return layers.filter(({ id }) => needed.has(id));
}
