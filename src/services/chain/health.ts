import type { Health } from '../../entities/index.js';
import type { Lineage, Link } from './lineage.js';

/** What the catalogue says about the health of a backup. */
export interface HealthFacts {
  /** What the last validation has found. */
  health: Health;
  /** That health comes of ranges that are known: what they reach has been judged by itself, and may have written over them. */
  damageLocated: boolean;
  /** When a restore or a merge has read other content than was backed up, and nobody has located or disproved it since. */
  contentWrongAt: Date | null;
}

const WORSE: Record<Health, number> = { ok: 0, suspect: 1, damaged: 2 };

/** The worst of several; `ok` of none. */
export function worst(healths: Iterable<Health>): Health {
  let result: Health = 'ok';
  for (const health of healths) if (WORSE[health] > WORSE[result]) result = health;
  return result;
}

/** How a backup is by all that is known: content that was read wrong weighs more than a quick check, which reads none. */
export function healthOf({ health, contentWrongAt }: Omit<HealthFacts, 'damageLocated'>): Health {
  return contentWrongAt === null ? health : 'damaged';
}

/** Nothing speaks against its own file or its content. */
export function isSound(facts: Omit<HealthFacts, 'damageLocated'>): boolean {
  return healthOf(facts) === 'ok';
}

/** What is bad is known by ranges, and nothing else is: a backup may heal it, and what stands on it does not feel it. */
export function isLocated({ damageLocated, contentWrongAt }: HealthFacts): boolean {
  return damageLocated && contentWrongAt === null;
}

/** A validation has found the file bad as a whole: ranges say nothing of it. */
export function isDamagedAsWhole({ health, damageLocated }: Omit<HealthFacts, 'contentWrongAt'>): boolean {
  return health === 'damaged' && !damageLocated;
}

/**
 * The layers whose health counts for the topmost one: of those below it the ones that are bad as a whole. Ranges below
 * count by what of them reaches the top, which is the top's own health.
 * @param layers the topmost first
 */
export function countingFor<T extends Pick<HealthFacts, 'damageLocated'>>(layers: readonly T[]): T[] {
  return layers.filter(({ damageLocated }, depth) => depth === 0 || !damageLocated);
}

/**
 * How a restore point is, by its own file and by all that it stands on. What stands on a file that is bad as a whole is
 * suspect at least, as its own file is what it was; so is what does not stand on a full.
 */
export function healthOfPoint({ layers, broken }: Lineage<Link & HealthFacts>): Health {
  const [own, ...below] = layers;
  const standsOnBad = broken !== undefined || below.some((layer) => !isSound(layer) && !isLocated(layer));
  return worst([own ? healthOf(own) : 'ok', standsOnBad ? 'suspect' : 'ok']);
}

/** Nothing speaks against a backup, nor against anything that it stands on: it can be merged, and be the last that is kept. */
export function restsOnSound({ layers, broken }: Lineage<Link & HealthFacts>): boolean {
  return broken === undefined && layers.every(isSound);
}
