import { expect } from 'chai';
import { spaceReport } from '../../../bench/spaceReport.js';
import { neededFor, runSpace } from '../../../bench/spaceRun.js';

const MIB = 1024 ** 2;

describe('The measurement of space', () => {
  it('counts of each kept point the blocks that differ from the kept one before', () => {
    const changed = [new Set<number>(), new Set([1, 2]), new Set([2, 3]), new Set([2])];
    expect(neededFor([1, 3, 4], changed, MIB)).to.equal(MIB + (3 + 1) * 65536);
    expect(neededFor([4], changed, MIB)).to.equal(MIB);
  });

  it('runs days of backups under a policy, and finds what is left healthy and hardly more than needed', async function () {
    this.timeout(120_000);
    const figures = await runSpace({ diskBytes: 4 * MIB, days: 10, percent: 5 });
    expect(figures.healthy).to.equal(true);
    expect(figures.kept.slice(-7)).to.deep.equal([4, 5, 6, 7, 8, 9, 10]);
    // Each file has metadata of its own: on so small a disk a good part of it.
    expect(figures.taken).to.be.within(figures.needed, figures.needed * 2);
    const page = spaceReport(figures, { machine: [], at: new Date() });
    expect(page)
      .to.include('logically needed')
      .and.not.match(/NaN|undefined/);
  });
});
