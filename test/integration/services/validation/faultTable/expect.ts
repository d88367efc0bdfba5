import { expect } from 'chai';
import { byId, lineageOf } from '../../../../../src/services/chain/index.js';
import type { Place } from './kinds.js';
import type { Observation } from './observe.js';
import { codesOf } from './render.js';

/**
 * What is wrong is found, and by name. A bit that nobody finds is one that nobody reads: every point is then exactly what
 * was backed up.
 */
export function expectFound({ chain }: Place, seen: Observation, context: string): void {
  for (const [i, truth] of seen.truths.entries()) {
    if (truth === 'right') continue;
    expect(seen.healths[i], `${context}: point ${i + 1} is ${truth}`).to.not.equal('ok');
  }
  const found = codesOf(seen.deep).length > 0;
  if (!found) {
    expect(seen.truths, context).to.deep.equal(chain.backups.map(() => 'right'));
    expect(seen.inflicted.imagesIntact, context).to.equal(undefined);
    expect(context).to.contain('L2 table');
  }
}

/** Points that stand on none of the files that were hit are `ok`, and right; a sidecar makes no point damaged. */
export function expectNoHarm({ chain, number, at }: Place, seen: Observation, context: string): void {
  const hit = new Set([number, ...(seen.inflicted.alsoHit ?? [])].map((one) => at(one).id));
  const rows = byId(chain.backups);
  for (const [i, { id }] of chain.backups.entries()) {
    const standsOnHit = lineageOf(rows, id).layers.some((layer) => hit.has(layer.id));
    const what = `${context}: point ${i + 1}`;
    if (!standsOnHit) {
      expect(seen.healths[i], what).to.equal('ok');
      expect(seen.truths[i], what).to.equal('right');
    }
    if (seen.inflicted.imagesIntact) expect(seen.healths[i], what).to.not.equal('damaged');
    // Of a point whose own file was not hit, damage is only said where it is.
    if (seen.healths[i] === 'damaged' && !hit.has(id)) expect(seen.truths[i], what).to.not.equal('right');
  }
}

/** Nothing wrong is restored unproved, merged, taken for the last good point, or built upon. */
export function expectContained(seen: Observation, context: string): void {
  for (const [i, truth] of seen.truths.entries()) {
    if (truth === 'right') continue;
    const what = `${context}: point ${i + 1} is ${truth}`;
    expect(seen.restorable[i]?.unproved, what).to.equal('backup_damaged');
    expect(seen.newestGood, what).to.not.equal(i + 1);
  }
  const bad = seen.truths.at(-1) !== 'right' || seen.healths.some((health) => health !== 'ok');
  if (bad && seen.healths.at(-1) !== 'ok') expect(seen.mergeRefused, context).to.deep.equal(['damaged']);
  if (seen.next.truth !== undefined) expect(seen.next.truth, `${context}: next backup`).to.equal('right');
}
