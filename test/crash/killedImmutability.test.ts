import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { execa } from 'execa';
import type { DataSource } from 'typeorm';
import { changeRepository, immutableDaysOf } from '../../src/db/stores/repositories.js';
import {
  adoptImmutableDays,
  readImmutableDays,
  recordImmutableDays,
  writeImmutableDays,
} from '../../src/services/repository/immutability.js';
import { buildChain, type ChainFixture } from '../helpers/chainFixture.js';
import { openSuiteDatabase } from '../helpers/chainJobs.js';
import { createSuite, type Suite } from '../helpers/suite.js';

/** Every operation in a long run; else every so many, others each day of the month. */
const STRIDE = Number(process.env.STRATA_KILL_STRIDE ?? 5);
const signal = new AbortController().signal;
const compiled = (name: string) => fileURLToPath(new URL(`../helpers/${name}`, import.meta.url));

describe('Whoever changes the immutable days and is killed at it', function () {
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

  const attempt = async (days: number, env: Record<string, string>) => {
    const { databaseSocketPath, databaseUser, databaseName } = suite;
    const args = [databaseSocketPath, databaseUser, databaseName, chain.repositoryId, String(days)];
    const ended = await execa(
      process.execPath,
      ['--import', compiled('killAt.js'), compiled('immutabilityAttempt.js'), ...args],
      { env: { STRATA_TEST_KILL_ROOT: chain.root, ...env }, reject: false },
    );
    return ended.signal ?? ended.stderr;
  };
  const place = () => ({ ds, repository: { id: chain.repositoryId, rootPath: chain.root }, signal });
  const set = async (days: number) => {
    await changeRepository(ds, chain.repositoryId, { immutableDays: days });
    await writeImmutableDays(chain.root, chain.repositoryId, days);
  };
  const inRepository = (root = chain.root) => readImmutableDays(root, chain.repositoryId);
  const count = async (days: number) => {
    const log = join(suite.tempDir, 'operations');
    await rm(log, { force: true });
    expect(await attempt(days, { STRATA_TEST_KILL_LOG: log })).to.equal('');
    return (await readFile(log, 'utf8')).trim().split('\n');
  };

  for (const [before, days] of [
    [4, 9],
    [9, 4],
  ] as const) {
    it(`leaves them from ${before} to ${days} in both places as one or the other`, async () => {
      await set(before);
      const operations = await count(days);
      expect(operations.length).to.be.greaterThan(3);
      for (const [n, operation] of operations.entries()) {
        if (n % STRIDE !== new Date().getDate() % STRIDE) continue;
        const context = `killed before ${operation}`;
        await set(before);
        expect(await attempt(days, { STRATA_TEST_KILL_AT: String(n + 1) }), context).to.equal('SIGKILL');
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
    const update = (await count(9)).findIndex((operation) => /sql UPDATE .*repositories/.test(operation)) + 1;
    expect(update).to.be.greaterThan(1);
    await set(4);
    const lost = `${chain.root}.lost`;
    const env = { STRATA_TEST_KILL_AT: String(update), STRATA_TEST_KILL_LOST: lost };
    expect(await attempt(9, env)).to.equal('SIGKILL');
    expect(await inRepository(lost)).to.equal(9);
    expect(await immutableDaysOf(ds, chain.repositoryId)).to.equal(4);
  });
});
