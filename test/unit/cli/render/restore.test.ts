import { expect } from 'chai';
import { renderDamage, renderProof } from '../../../../src/cli/commands/restore.js';

describe('the text of a restore', () => {
  const damage = (
    ranges: { offset: number; length: number }[] | null,
    bytes: number | null,
    more = false,
  ) => ({
    verified: false,
    damage: { ranges, bytes, more },
  });

  it('says that a content was proved, and nothing of damage where there is none', () => {
    const sound = { verified: true, damage: { ranges: [], bytes: 0, more: false } };
    for (const result of [null, {}, { verified: false }, sound]) expect(renderDamage(result)).to.equal('');
    expect(renderProof(sound)).to.equal(', verified');
    expect(renderProof(damage([], 0))).to.equal('');
  });

  it('names every range that is wrong, and never says "verified"', () => {
    expect(renderDamage(damage([{ offset: 65_536, length: 131_072 }], 131_072))).to.equal(
      'It is NOT what was backed up in 1 ranges, 128.0 KiB in all:\n  offset 65536 length 131072\n',
    );
  });

  it('says so where there are more ranges than it prints, or nobody knows where they are', () => {
    const ranges = Array.from({ length: 60 }, (_, i) => ({ offset: i * 131_072, length: 65_536 }));
    const lines = renderDamage(damage(ranges, 60 * 65_536)).split('\n');
    expect(lines).to.have.length(53);
    expect(lines.at(-2)).to.equal('  and more: see --json');
    expect(renderDamage(damage(null, null))).to.contain('is unknown');
  });
});
