import { expect } from 'chai';
import { withEarlier } from '../../../../src/services/rebuild/run.js';

const chain = (id: string, inserted: number, existing: number) => ({
  chain_id: id,
  vm_context_id: `vm-${id}`,
  vm_name: id,
  disk_id: 0,
  inserted,
  existing,
  refused: 0,
});

describe('The report of a rebuild of several attempts', () => {
  const report = {
    inserted: 3,
    existing: 9,
    problems: [],
    chains: [chain('a', 3, 4), chain('b', 0, 5)],
  };

  it('counts what an earlier attempt has inserted as inserted by the job, chain by chain and in all', () => {
    const whole = withEarlier(report, new Map([['b', 5]]));
    expect(whole.chains).to.deep.equal([chain('a', 3, 4), chain('b', 5, 0)]);
    expect(whole).to.include({ inserted: 8, existing: 4 });
  });

  it('counts no row that is gone by now, and is as it was where there was no earlier attempt', () => {
    expect(withEarlier(report, new Map([['a', 7]]))).to.include({ inserted: 7, existing: 5 });
    expect(withEarlier(report, new Map([['gone', 2]]))).to.deep.equal(report);
    expect(withEarlier(report, new Map())).to.deep.equal(report);
  });
});
