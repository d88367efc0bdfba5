import { expect } from 'chai';
import { knownDamage } from '../../../../src/services/chain/knownDamage.js';
import { BLOCK_SIZE } from '../../../../src/shared/extents.js';

const pass = { started_at: '', file: '', unproved: [] };

describe('the known damage of a file', () => {
  it('is what an interrupted reading found, and from there on what the one before did, in the middle of a range, too', () => {
    const before = { wrong: [[0, 8 * BLOCK_SIZE] as [number, number]], unproved: [] };
    const stillWrong = { ...pass, up_to: 4, wrong: [[0, 4 * BLOCK_SIZE] as [number, number]] };
    const all = { wrong: [{ offset: 0, length: 8 * BLOCK_SIZE }], unproved: [] };
    expect(knownDamage({ damage: before, pass: stillWrong })).to.deep.equal(all);
    const rightSoFar = { ...pass, up_to: 4, wrong: [] };
    const rest = { wrong: [{ offset: 4 * BLOCK_SIZE, length: 4 * BLOCK_SIZE }], unproved: [] };
    expect(knownDamage({ damage: before, pass: rightSoFar })).to.deep.equal(rest);
    expect(knownDamage({ damage: before, pass: null })).to.deep.equal(all);
  });
});
