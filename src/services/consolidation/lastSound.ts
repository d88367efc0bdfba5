import { byId, type Layer, lineageOf, restsOnSound } from '../chain/index.js';

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
