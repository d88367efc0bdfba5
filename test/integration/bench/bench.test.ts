import { expect } from 'chai';
import { CONTESTS, runBenchmarks } from '../../../bench/benchmarks.js';
import { report, type Results } from '../../../bench/report.js';
import { judge } from '../../../bench/row.js';
import { TINY } from '../../../bench/sizes.js';

describe('The benchmarks', () => {
  let results: Results;
  let page: string;
  before(async function () {
    this.timeout(180_000);
    results = await runBenchmarks(TINY, CONTESTS, () => undefined);
    page = report(results);
  });

  it('measure every contest and judge every line that has a goal', () => {
    expect(results.rows).to.have.length.greaterThan(CONTESTS.length);
    for (const row of results.rows) {
      const { value, min, max, met } = judge(row);
      expect([value, min, max], row.what).to.satisfy((figures: number[]) => figures.every((one) => one > 0));
      expect(met === undefined, row.what).to.equal(row.goal === undefined);
    }
  });

  it('tell the parts of the fixed cost, in the order in which they happen and without a gap', () => {
    expect(results.parts).to.have.length(TINY.runs);
    for (const { parts } of results.parts) {
      for (const { name, fromMs, toMs } of parts) expect(toMs, name).to.be.at.least(fromMs);
    }
  });

  it('print a page that says what was missed and by what machine, and names no path of it', () => {
    expect(page).to.match(/\| \*\*missed\*\* \||\| met \|/);
    expect(page).to.include('qemu-img version');
    expect(page).not.to.match(/NaN|undefined|\/tmp\/|\/home\/|\/var\/tmp/);
  });
});
