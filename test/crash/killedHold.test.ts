import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { execa } from 'execa';
import type { DataSource } from 'typeorm';
import { protect } from '../../src/db/stores/protect.js';
import { BackupJob } from '../../src/entities/index.js';
import { readHold } from '../../src/services/repository/holdRecords.js';
import { reconcileHolds, settleHolds } from '../../src/services/repository/holds.js';
import { buildChain, type ChainFixture } from '../helpers/chainFixture.js';
import { openSuiteDatabase } from '../helpers/chainJobs.js';
import { createSuite, type Suite } from '../helpers/suite.js';

/** Every operation in a long run; else every so many, others each day of the month. */
const STRIDE = Number(process.env.STRATA_KILL_STRIDE ?? 5);
const UNTIL = new Date('2090-01-01T00:00:00.000Z');
const signal = new AbortController().signal;
const compiled = (name: string) => fileURLToPath(new URL(`../helpers/${name}`, import.meta.url));

describe('Whoever changes a protection and is killed at it', function () {
  this.timeout(120_000);
  let suite: Suite;
  let ds: DataSource;
  let chain: ChainFixture;
  before(async () => {
    suite = await createSuite();
    ds = await openSuiteDatabase(suite);
    chain = await buildChain(ds, suite.tempDir);
  });
  after(async () => {
    await ds.destroy();
    await suite.close();
  });

  /** Of the fixture's oldest backup. */
  const id = () => chain.backups[0]?.id ?? '';
  const attempt = async (until: Date | null, env: Record<string, string>) => {
    const { databaseSocketPath, databaseUser, databaseName } = suite;
    const database = [databaseSocketPath, databaseUser, databaseName];
    const about = [chain.repositoryId, chain.root, id(), ...(until ? [until.toISOString()] : [])];
    const ended = await execa(
      process.execPath,
      ['--import', compiled('killAt.js'), compiled('holdAttempt.js'), ...database, ...about],
      { env: { STRATA_TEST_KILL_ROOT: chain.root, ...env }, reject: false },
    );
    return ended.signal ?? ended.stderr;
  };
  const place = () => ({ ds, repository: { id: chain.repositoryId, rootPath: chain.root }, signal });
  const set = async (until: Date | null) => {
    await protect(ds, { column: 'id', id: id() }, until);
    await settleHolds(place());
  };
  const row = async () =>
    (await ds.getRepository(BackupJob).findOneByOrFail({ id: id() })).protectedUntil ?? undefined;
  const count = async (until: Date | null) => {
    const log = join(suite.tempDir, `operations-${until?.getTime() ?? 'none'}`);
    await rm(log, { force: true });
    expect(await attempt(until, { STRATA_TEST_KILL_LOG: log })).to.equal('');
    return (await readFile(log, 'utf8')).trim().split('\n');
  };

  it('leaves catalogue and repository to be brought together, whether it protected or lifted', async () => {
    for (const [until, before] of [
      [UNTIL, null],
      [null, UNTIL],
    ] as const) {
      const operations = await count(until);
      expect(operations.length).to.be.greaterThan(5);
      for (const [n, operation] of operations.entries()) {
        if (n % STRIDE !== new Date().getDate() % STRIDE) continue;
        const context = `${until ? 'protecting' : 'lifting'}, killed before ${operation}`;
        await set(before);
        expect(await attempt(until, { STRATA_TEST_KILL_AT: String(n + 1) }), context).to.equal('SIGKILL');
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
    const last = String((await count(UNTIL)).length);
    await set(null);
    const lost = `${chain.root}.lost`;
    const env = { STRATA_TEST_KILL_AT: last, STRATA_TEST_KILL_WHEN: 'after', STRATA_TEST_KILL_LOST: lost };
    expect(await attempt(UNTIL, env)).to.equal('SIGKILL');
    expect(await readHold(lost, id())).to.deep.equal(UNTIL);
  });
});
