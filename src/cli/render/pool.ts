import type { Repository } from '../../client/index.js';

/** A sentence that warns of jobs that would wait for ever; empty where there are none. */
export function renderUnserved({ name, pool, unserved_kinds: kinds = [] }: Repository): string {
  if (kinds.length === 0) return '';
  return `warning: no live worker serves ${kinds.join(', ')} jobs of the pool ${pool}: jobs of repository ${name} wait until one is started with STRATA_POOLS=${pool}.\n`;
}
