import { expect } from 'chai';
import {
  byId,
  countingFor,
  headOf,
  healthOf,
  healthOfPoint,
  isLocated,
  isSound,
  type Layer,
  lineageOf,
  restsOnSound,
} from '../../../../src/services/chain/index.js';
import { aLayer } from '../../../helpers/layer.js';

const WRONG: Partial<Layer> = { contentWrongAt: new Date(1) };
const DAMAGED: Partial<Layer> = { health: 'damaged' };
const LOCATED: Partial<Layer> = { health: 'damaged', damageLocated: true };
const SUSPECT: Partial<Layer> = { health: 'suspect' };

/** The lineage of `top`, which stands on `below`. */
const lineage = (top: Partial<Layer>, below: Partial<Layer>) =>
  lineageOf(byId([aLayer('f', below), aLayer('i', { parentId: 'f', ...top })]), 'i');

describe('The health of a layer', () => {
  it('is damaged once its content was read wrong, whatever a quick check has found since', () => {
    expect(healthOf(aLayer('f', WRONG))).to.equal('damaged');
    expect(isSound(aLayer('f', WRONG))).to.equal(false);
    expect(healthOf(aLayer('f', SUSPECT))).to.equal('suspect');
  });

  it('is located only where nothing has been read wrong as a whole', () => {
    expect(isLocated(aLayer('f', LOCATED))).to.equal(true);
    expect(isLocated(aLayer('f', { ...LOCATED, ...WRONG }))).to.equal(false);
  });

  it('counts for what stands on the layer where it is bad as a whole, and for itself always', () => {
    const layers = [aLayer('i', LOCATED), aLayer('m', DAMAGED), aLayer('f', LOCATED)];
    expect(countingFor(layers).map(({ id }) => id)).to.deep.equal(['i', 'm']);
  });
});

describe('The health of a restore point', () => {
  it('is its own, and suspect at least where it stands on a file that is bad as a whole, restore point or carrier', () => {
    expect(healthOfPoint(lineage({}, {}))).to.equal('ok');
    for (const bad of [WRONG, DAMAGED, SUSPECT])
      for (const expired of [false, true])
        expect(healthOfPoint(lineage({}, { ...bad, expired })), JSON.stringify(bad)).to.equal('suspect');
    expect(healthOfPoint(lineage(DAMAGED, SUSPECT))).to.equal('damaged');
  });

  it('does not feel located damage below: what of that reaches the point is its own', () => {
    expect(healthOfPoint(lineage({}, LOCATED))).to.equal('ok');
    expect(restsOnSound(lineage({}, LOCATED))).to.equal(false);
  });

  it('is suspect where the way down leads to no full', () => {
    const alone = lineageOf(byId([aLayer('i', { parentId: 'gone' })]), 'i');
    expect(healthOfPoint(alone)).to.equal('suspect');
    expect(restsOnSound(alone)).to.equal(false);
  });
});

describe('The head of a chain', () => {
  it('is its newest restore point and the full of that, carriers left out, with the bytes of all files', () => {
    const layers = [
      aLayer('f', { expired: true }),
      aLayer('i', { parentId: 'f' }),
      aLayer('left', { parentId: 'i', expired: true }),
    ];
    expect(headOf(layers)).to.deep.equal({ latest: 'i', full: 'f', points: 1, bytes: 300 });
    expect(headOf([])).to.deep.equal({ latest: null, full: null, points: 0, bytes: 0 });
  });

  it('takes the latest for a full where the full is not there: the database wants both or none', () => {
    expect(headOf([aLayer('i', { parentId: 'gone' })])).to.include({ latest: 'i', full: 'i' });
  });
});
