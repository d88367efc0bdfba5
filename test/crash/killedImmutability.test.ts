import { expect } from 'chai';
import type { DataSource } from 'typeorm';
import { changeRepository, immutableDaysOf } from '../../src/db/repository/repositories.js';
import { readImmutableDays, writeImmutableDays } from '../../src/services/repository/immutability.js';
import { adoptImmutableDays, recordImmutableDays } from '../../src/services/protection/immutability.js';
import { buildChain, type ChainFixture } from '../helpers/chainFixture.js';
import { type KillableAttempt, operationsOf, runAttempt } from '../helpers/killAttempt.js';
import { type DatabaseSuite, openDatabaseSuite } from '../helpers/openSuite.js';

/** Every operation in a long run; else every so many, others each day of the month. */
const STRIDE = Number(process.env.STRATA_KILL_STRIDE ?? 5);
const signal = new AbortController().signal;

describe('Whoever changes the immutable days and is killed at it', function () {
  this.timeout(120_000);
  let suite: DatabaseSuite;
  let ds: DataSource;
  let chain: ChainFixture;
  before(async () => {
    suite = await openDatabaseSuite();
    ({ ds } = suite);
    chain = await buildChain(ds, suite.tempDir);
  });
  after(() => suite.close());

  const attempt = (days: number): KillableAttempt => ({
    suite,
    root: chain.root,
    program: 'immutabilityAttempt.js',
    args: [chain.repositoryId, String(days)],
  });
  const place = () => ({ ds, repository: { id: chain.repositoryId, rootPath: chain.root }, signal });
  const set = async (days: number) => {
    await changeRepository(ds, chain.repositoryId, { immutableDays: days });
    await writeImmutableDays(chain.root, chain.repositoryId, days);
  };
  const inRepository = (root = chain.root) => readImmutableDays(root, chain.repositoryId);

  for (const [before, days] of [
    [4, 9],
    [9, 4],
  ] as const) {
    it(`leaves them from ${before} to ${days} in both places as one or the other`, async () => {
      await set(before);
      const operations = await operationsOf(attempt(days));
      expect(operations.length).to.be.greaterThan(3);
      for (const [n, operation] of operations.entries()) {
        if (n % STRIDE !== new Date().getDate() % STRIDE) continue;
        const context = `killed before ${operation}`;
        await set(before);
        expect(await runAttempt(attempt(days), { STRATA_TEST_KILL_AT: String(n + 1) }), context).to.equal(
          'SIGKILL',
        );
        // What the keeper does with each reconciliation.
        await adoptImmutableDays(place());
        await recordImmutableDays(place());
        const now = await immutableDaysOf(ds, chain.repositoryId);
        expect([before, days], context).to.include(now);
        expect(await inRepository(), context).to.equal(now);
      }
    });
  }

  it('has them on stable storage before the catalogue has them', async () => {
    await set(4);
    const update =
      (await operationsOf(attempt(9))).findIndex((operation) => /sql UPDATE .*repositories/.test(operation)) +
      1;
    expect(update).to.be.greaterThan(1);
    await set(4);
    const lost = `${chain.root}.lost`;
    const env = { STRATA_TEST_KILL_AT: String(update), STRATA_TEST_KILL_LOST: lost };
    expect(await runAttempt(attempt(9), env)).to.equal('SIGKILL');
    expect(await inRepository(lost)).to.equal(9);
    expect(await immutableDaysOf(ds, chain.repositoryId)).to.equal(4);
  });
});
