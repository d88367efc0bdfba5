import type { LayerFact } from './facts.js';

/** A layer and all that it stands on, topmost first; empty for none. */
export function lineage(byId: ReadonlyMap<string, LayerFact>, id: string | null): LayerFact[] {
  const layers: LayerFact[] = [];
  for (let at = id === null ? undefined : byId.get(id); at; ) {
    layers.push(at);
    at = at.parentId === null ? undefined : byId.get(at.parentId);
  }
  return layers;
}
