import { expect } from 'chai';
import {
  assertNoCircle,
  byId,
  carrying,
  lineageOf,
  tipsOf,
  wholeLineageOf,
} from '../../../../src/services/chain/index.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { aLayer } from '../../../helpers/layer.js';

const link = (id: string, parentId: string | null) => ({ id, parentId });
const refusal = (work: () => unknown) => codeOf(Promise.resolve().then(work));

const CIRCLES = [
  { links: [link('b', 'b')], name: 'a backup that stands on itself' },
  { links: [link('a', 'c'), link('b', 'a'), link('c', 'b')], name: 'three backups in a circle' },
  { links: [link('f', null), link('a', 'b'), link('b', 'a'), link('c', 'b')], name: 'a tip above a circle' },
];

describe('The lineage of a backup', () => {
  it('leads from the backup down to its full, however long the chain is', () => {
    const links = Array.from({ length: 5000 }, (_, n) => link(`b${n}`, n === 0 ? null : `b${n - 1}`));
    const { layers, broken } = lineageOf(byId(links), 'b4999');
    expect(broken).to.equal(undefined);
    expect(layers).to.have.length(5000);
    expect(layers[0]?.id).to.equal('b4999');
    expect(layers.at(-1)?.id).to.equal('b0');
    expect(() => assertNoCircle(byId(links))).to.not.throw();
  });

  it('is that of its own branch where backups fork, and every layer is reached from a tip', () => {
    const links = [link('f', null), link('i', 'f'), link('d', 'f'), link('j', 'i')];
    expect(lineageOf(byId(links), 'j').layers.map(({ id }) => id)).to.deep.equal(['j', 'i', 'f']);
    expect(tipsOf(links)).to.deep.equal(['d', 'j']);
  });

  it('is broken where a backup is not there, with the layers down to the gap', async () => {
    const links = byId([link('b', 'a')]);
    const { layers, broken } = lineageOf(links, 'b');
    expect(layers.map(({ id }) => id)).to.deep.equal(['b']);
    expect(broken).to.equal('backup a is not a completed backup of the chain');
    expect(await refusal(() => wholeLineageOf(links, 'b'))).to.equal('lineage_broken');
    expect(lineageOf(byId([]), 'b').layers).to.deep.equal([]);
  });

  for (const { links, name } of CIRCLES) {
    it(`is broken, and the walk ends, for ${name}`, async () => {
      const known = byId(links);
      const tip = links.at(-1)?.id ?? '';
      expect(lineageOf(known, tip).broken).to.match(/is its own ancestor/);
      expect(await refusal(() => wholeLineageOf(known, tip))).to.equal('lineage_broken');
      expect(await refusal(() => assertNoCircle(known))).to.equal('lineage_broken');
    });
  }

  it('needs an expired backup only where a restore point stands on it, in a circle, too', () => {
    const layers = [
      aLayer('f', { expired: true }),
      aLayer('i', { parentId: 'f' }),
      aLayer('left', { parentId: 'i', expired: true }),
      aLayer('x', { parentId: 'y' }),
      aLayer('y', { parentId: 'x', expired: true }),
    ];
    expect(carrying(layers).map(({ id }) => id)).to.deep.equal(['f', 'i', 'x', 'y']);
  });
});
