import type { Extent } from '../../shared/extents.js';
import { unionRanges } from '../../shared/ranges.js';
import { isLocated, isSound } from './health.js';
import type { Damage } from './knownDamage.js';
import type { Layer } from './layer.js';

/** A layer whose file holds wrong content in these ranges, or cannot be read there, and nowhere else as far as is known. */
export interface LayerToHeal {
  layer: Layer;
  /** What it stands on, topmost first. */
  below: readonly Layer[];
  ranges: readonly Extent[];
}

/**
 * Decides which layers have to be made right before an increment may stand on them, lowest first. Pure.
 * @param lineage the latest backup and all below it, topmost first
 * @param damageOf what deep validations know of a backup's file
 * @returns undefined where nothing is damaged, or where not all that is wrong is known by ranges: then nothing but a
 *   full is certain to be right. Empty where no file is wrong any more: an attempt before has not come to say so
 */
export function planHealing(
  lineage: readonly Layer[],
  damageOf: (id: string) => Damage,
): LayerToHeal[] | undefined {
  const bad = lineage.filter((layer) => !isSound(layer));
  if (bad.length === 0 || !bad.every(isLocated)) return undefined;
  const layers = lineage.flatMap((layer, depth): LayerToHeal[] => {
    const { wrong, unproved } = damageOf(layer.id);
    const ranges = unionRanges(wrong, unproved);
    return ranges.length === 0 ? [] : [{ layer, below: lineage.slice(depth + 1), ranges }];
  });
  // The file of an expired backup may be the base of a merge that was cut, which holds what its index does not say.
  if (layers.some(({ layer }) => layer.expired)) return undefined;
  return layers.reverse();
}
