import { expect } from 'chai';
import { rm } from 'node:fs/promises';
import type { DataSource } from 'typeorm';
import { buildChain, PLAIN_CHAIN, nthBackup } from '../../../helpers/chainFixture.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../../helpers/openSuite.js';
import { FAULTS } from './faults.js';
import { swap } from './faultTools.js';
import { codes, healths, validate } from './support.js';

describe('quick validation of chains with one fault', function () {
  this.timeout(120_000);
  let suite: DatabaseSuite;
  let ds: DataSource;

  before(async () => {
    suite = await openDatabaseSuite();
    ({ ds } = suite);
  });

  after(() => suite.close());

  for (const fault of FAULTS) {
    it(`names ${fault.title}, and calls nothing else damaged`, async () => {
      const chain = await buildChain(ds, suite.tempDir);
      await fault.inflict(chain, (number) => nthBackup(chain, number));
      const report = await validate(ds, chain);
      expect(codes(chain, report)).to.deep.equal(fault.codes.toSorted());
      expect(await healths(ds, chain)).to.deep.equal({ backups: fault.backups, chain: fault.chain });
      const bad = fault.backups
        .split(' ')
        .flatMap((health, i) => (health === 'ok' ? [] : [chain.backups[i]?.id]));
      expect(report.affected).to.deep.equal(bad);
      expect(report.healthy).to.equal(fault.chain === 'ok');
    });
  }

  it('tells two swapped fulls of the same length apart, which no header shows', async () => {
    const full = PLAIN_CHAIN[0];
    if (!full) throw new Error('The plain chain has a full.');
    const chain = await buildChain(ds, suite.tempDir, [full, full]);
    const [first, second] = chain.backups;
    await swap(first?.image ?? '', second?.image ?? '');
    expect(codes(chain, await validate(ds, chain))).to.deep.equal(['1:file_swapped', '2:file_swapped']);
    expect((await healths(ds, chain)).backups).to.equal('damaged damaged');
  });

  it('spreads damage to the differentials of a full and not to other segments', async () => {
    const [full, increment] = PLAIN_CHAIN;
    if (!full || !increment) throw new Error('The plain chain has increments.');
    const chain = await buildChain(ds, suite.tempDir, [
      full,
      increment,
      { ...increment, type: 'differential' },
      full,
      increment,
    ]);
    await rm(chain.backups[1]?.image ?? '');
    await validate(ds, chain);
    expect((await healths(ds, chain)).backups).to.equal('ok damaged ok ok ok');
    await rm(chain.backups[0]?.image ?? '');
    await validate(ds, chain);
    expect((await healths(ds, chain)).backups).to.equal('damaged damaged suspect ok ok');
  });
});
