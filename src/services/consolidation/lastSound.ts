import { isSound, type LayerFact } from './facts.js';

/**
 * Of what a policy removes, all but the newest backup that can be relied on, where no other such would stay: since the policy
 * has decided, a newer one may have been found damaged. Who names backups by himself is not held up. Pure.
 */
export function sparingLastSound(layers: readonly LayerFact[], remove: readonly string[]): string[] {
  const byId = new Map(layers.map((layer) => [layer.id, layer]));
  const restsOnSound = (layer: LayerFact): boolean => {
    if (!isSound(layer)) return false;
    if (layer.parentId === null) return true;
    const parent = byId.get(layer.parentId);
    return parent !== undefined && restsOnSound(parent);
  };
  const sound = layers.filter((layer) => layer.status === 'completed' && restsOnSound(layer));
  if (sound.some(({ id }) => !remove.includes(id))) return [...remove];
  const [newest] = sound.sort((a, b) => b.seq - a.seq);
  return remove.filter((id) => id !== newest?.id);
}
