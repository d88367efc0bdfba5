import { expect } from 'chai';
import { type Layer, lineageOf } from '../../../../src/services/backup/context.js';

const layer = (id: string, parentId: string | null): Layer => ({
  id,
  parentId,
  createdAt: new Date(0),
  path: id,
  damageLocated: false,
  expired: false,
  health: 'ok',
  changeId: null,
  virtualSize: 512,
  sizeChanges: null,
});

describe('The lineage of a backup', () => {
  it('leads from it down to its full, however long the chain is', () => {
    const layers = Array.from({ length: 5000 }, (_, n) => layer(`b${n}`, n === 0 ? null : `b${n - 1}`));
    const lineage = lineageOf(layers, 'b4999');
    expect(lineage).to.have.length(5000);
    expect(lineage?.[0]?.id).to.equal('b4999');
    expect(lineage?.at(-1)?.id).to.equal('b0');
  });

  it('is none where a backup is missing or the way goes in a circle', () => {
    expect(lineageOf([layer('b', 'a')], 'b')).to.equal(undefined);
    expect(lineageOf([layer('b', 'a'), layer('a', 'b')], 'b')).to.equal(undefined);
    expect(lineageOf([], 'b')).to.equal(undefined);
  });
});
