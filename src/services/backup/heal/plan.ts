import type { Extent } from '../../../shared/extents.js';
import type { Damage } from '../../validation/index.js';
import type { Layer } from '../context.js';

/** A layer whose file holds wrong content in these ranges, and nowhere else as far as is known. */
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
  const bad = lineage.filter(({ health }) => health !== 'ok');
  if (bad.length === 0 || !bad.every(({ damageLocated }) => damageLocated)) return undefined;
  const layers = lineage.flatMap((layer, depth): LayerToHeal[] => {
    const { wrong } = damageOf(layer.id);
    return wrong.length === 0 ? [] : [{ layer, below: lineage.slice(depth + 1), ranges: wrong }];
  });
  // A disk that does not give its sectors cannot be copied either; and the file of an expired backup may be the base of a
  // merge that was cut, which holds what its index does not say.
  const unsure = lineage.some(({ id }) => damageOf(id).unproved.length > 0);
  if (unsure || layers.some(({ layer }) => layer.expired)) return undefined;
  return layers.reverse();
}
