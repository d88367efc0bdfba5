import { expect } from 'chai';
import fc from 'fast-check';
import { BLOCK_SIZE, type Extent } from '../../../src/shared/extents.js';
import { normaliseExtents } from '../../helpers/normaliseExtents.js';
import { isStrataError } from '../../../src/shared/errors.js';

const SIZE = 100 * BLOCK_SIZE + 512;
const extent = fc
  .nat(SIZE - 1)
  .chain((offset) =>
    fc.record({ offset: fc.constant(offset), length: fc.integer({ min: 1, max: SIZE - offset }) }),
  );

function blocksOf(extents: readonly Extent[]): Set<number> {
  const blocks = new Set<number>();
  for (const { offset, length } of extents) {
    for (let block = Math.floor(offset / BLOCK_SIZE); block * BLOCK_SIZE < offset + length; block++)
      blocks.add(block);
  }
  return blocks;
}

describe('Normalised extents', () => {
  it('cover exactly the blocks that the input touches, sorted, apart and inside the disk', () => {
    fc.assert(
      fc.property(fc.array(extent, { maxLength: 40 }), (extents) => {
        const normal = normaliseExtents(extents, SIZE);
        expect([...blocksOf(normal)]).to.have.members([...blocksOf(extents)]);
        normal.forEach(({ offset, length }, index) => {
          const before = normal[index - 1];
          if (before) expect(offset).to.be.greaterThan(before.offset + before.length);
          expect(offset % BLOCK_SIZE).to.equal(0);
          expect(offset + length).to.be.at.most(SIZE);
        });
      }),
    );
  });

  it('refuse what is beyond the end, negative, fractional or empty, naming the entry', () => {
    const refuse = (bad: Extent) => {
      try {
        normaliseExtents([{ offset: 0, length: 512 }, bad], SIZE);
      } catch (error) {
        if (isStrataError(error)) return `${error.code} ${error.fields[0]?.field}`;
      }
      return 'accepted';
    };
    expect(refuse({ offset: SIZE - 512, length: 1024 })).to.equal('extents_out_of_range changed_extents[1]');
    expect(refuse({ offset: -1, length: 10 })).to.equal('extents_invalid changed_extents[1]');
    expect(refuse({ offset: 0.5, length: 10 })).to.equal('extents_invalid changed_extents[1]');
    expect(refuse({ offset: 0, length: 0 })).to.equal('extents_invalid changed_extents[1]');
    expect(refuse({ offset: Number.MAX_SAFE_INTEGER, length: 2 })).to.equal(
      'extents_out_of_range changed_extents[1]',
    );
  });
});
