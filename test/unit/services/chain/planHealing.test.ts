import { expect } from 'chai';
import { type Damage, type Layer, planHealing } from '../../../../src/services/chain/index.js';
import { aLayer } from '../../../helpers/layer.js';

const RANGE = { offset: 65_536, length: 65_536 };

/** A full `b1` and increments upon it, the latest first; layers are changed by number. */
function lineage(changes: Record<number, Partial<Layer>>): Layer[] {
  return [3, 2, 1].map((number) =>
    aLayer(`b${number}`, { parentId: number === 1 ? null : `b${number - 1}`, ...changes[number] }),
  );
}

const bad: Partial<Layer> = { health: 'damaged', damageLocated: true };
const damage =
  (wrong: readonly string[], unproved: readonly string[] = []) =>
  (id: string): Damage => ({
    wrong: wrong.includes(id) ? [RANGE] : [],
    unproved: unproved.includes(id) ? [RANGE] : [],
  });

describe('the plan of a healing', () => {
  it('puts right the files whose damage is known by ranges, the lowest first, and none that it only reaches', () => {
    const plan = planHealing(lineage({ 1: bad, 2: bad, 3: bad }), damage(['b1', 'b3']));
    expect(plan?.map(({ layer }) => layer.id)).to.deep.equal(['b1', 'b3']);
    expect(plan?.[0]).to.deep.include({ below: [], ranges: [RANGE] });
    expect(plan?.[1]?.below.map(({ id }) => id)).to.deep.equal(['b2', 'b1']);
  });

  it('is none where nothing is damaged', () => {
    expect(planHealing(lineage({}), damage([]))).to.equal(undefined);
  });

  it('is none where anything is wrong as a whole, or only suspected', () => {
    for (const whole of [{ health: 'damaged' }, { health: 'suspect' }] as const)
      expect(planHealing(lineage({ 1: bad, 2: whole }), damage(['b1']))).to.equal(undefined);
  });

  it('puts back what the disk does not give, too', () => {
    const plan = planHealing(lineage({ 1: bad, 2: { ...bad, health: 'suspect' } }), damage(['b1'], ['b2']));
    expect(plan?.map(({ layer, ranges }) => [layer.id, ranges])).to.deep.equal([
      ['b1', [RANGE]],
      ['b2', [RANGE]],
    ]);
  });

  it('is none where the file of an expired backup is wrong', () => {
    expect(planHealing(lineage({ 1: { ...bad, expired: true } }), damage(['b1']))).to.equal(undefined);
  });

  it('is empty, and not none, where an attempt before has put the files right and has not come to say so', () => {
    expect(planHealing(lineage({ 1: bad, 3: bad }), damage([]))).to.deep.equal([]);
  });
});
