import { expect } from 'chai';
import type { DataSource } from 'typeorm';
import { protect } from '../../src/db/chain/protect.js';
import { BackupJob } from '../../src/entities/index.js';
import { readHold } from '../../src/services/repository/holdRecords.js';
import { reconcileHolds, recordHolds } from '../../src/services/protection/holds.js';
import { buildChain, type ChainFixture } from '../helpers/chainFixture.js';
import { type KillableAttempt, operationsOf, runAttempt } from '../helpers/killAttempt.js';
import { type DatabaseSuite, openDatabaseSuite } from '../helpers/openSuite.js';

/** Every operation in a long run; else every so many, others each day of the month. */
const STRIDE = Number(process.env.STRATA_KILL_STRIDE ?? 5);
const UNTIL = new Date('2090-01-01T00:00:00.000Z');
const signal = new AbortController().signal;

describe('Whoever changes a protection and is killed at it', function () {
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

  /** Of the fixture's oldest backup. */
  const id = () => chain.backups[0]?.id ?? '';
  const attempt = (until: Date | null): KillableAttempt => ({
    suite,
    root: chain.root,
    program: 'holdAttempt.js',
    args: [chain.repositoryId, chain.root, id(), ...(until ? [until.toISOString()] : [])],
  });
  const place = () => ({ ds, repository: { id: chain.repositoryId, rootPath: chain.root }, signal });
  const set = async (until: Date | null) => {
    await protect(ds, { column: 'id', id: id() }, until);
    await recordHolds(place());
  };
  const row = async () =>
    (await ds.getRepository(BackupJob).findOneByOrFail({ id: id() })).protectedUntil ?? undefined;

  it('leaves catalogue and repository to be brought together, whether it protected or lifted', async () => {
    for (const [until, before] of [
      [UNTIL, null],
      [null, UNTIL],
    ] as const) {
      const operations = await operationsOf(attempt(until));
      expect(operations.length).to.be.greaterThan(5);
      for (const [n, operation] of operations.entries()) {
        if (n % STRIDE !== new Date().getDate() % STRIDE) continue;
        const context = `${until ? 'protecting' : 'lifting'}, killed before ${operation}`;
        await set(before);
        expect(await runAttempt(attempt(until), { STRATA_TEST_KILL_AT: String(n + 1) }), context).to.equal(
          'SIGKILL',
        );
        const told = await row();
        const { adopted } = await reconcileHolds(place(), new Date());
        expect(adopted, context).to.deep.equal([]);
        expect(await row(), context).to.deep.equal(told);
        expect(await readHold(chain.root, id()), context).to.deep.equal(told);
      }
    }
  });

  it('has it on stable storage when it has told the catalogue so', async () => {
    await set(null);
    const last = String((await operationsOf(attempt(UNTIL))).length);
    await set(null);
    const lost = `${chain.root}.lost`;
    const env = { STRATA_TEST_KILL_AT: last, STRATA_TEST_KILL_WHEN: 'after', STRATA_TEST_KILL_LOST: lost };
    expect(await runAttempt(attempt(UNTIL), env)).to.equal('SIGKILL');
    expect(await readHold(lost, id())).to.deep.equal(UNTIL);
  });
});
