import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Repository } from '../../src/entities/index.js';
import type { Strategy } from '../../src/services/consolidation/strategy.js';
import { runRebuild } from '../../src/services/repository/rebuild/index.js';
import type { ChainStep, FixtureBackup } from '../helpers/chainFixture.js';
import { openSuiteDatabase } from '../helpers/chainJobs.js';
import { chainWithSibling, linearChain, type MergeBench, openMergeBench } from '../helpers/mergeBench.js';
import { type MergeVictim, startVictim } from '../helpers/mergeVictim.js';
import { type CloningFileSystem, openCloningFileSystem } from '../helpers/cloningFileSystem.js';
import { createRandom } from '../helpers/random.js';
import { createSuite } from '../helpers/suite.js';

/** Every point in the soak run; in the short one every so many, beginning anew each day of the month. */
const STRIDE = Number(process.env.STRATA_KILL_STRIDE ?? 29);
const MOMENTS = Number(process.env.STRATA_MERGE_MOMENTS ?? 2);
const WHOLE = STRIDE === 1;

interface Case {
  title: string;
  steps: ChainStep[];
  /** Numbers of the backups, from 1. */
  remove: number[];
}

const CASES: Case[] = [
  { title: 'a full and two increments, the full merged upward', steps: linearChain(2), remove: [1] },
  { title: 'five layers, two runs and a tip', steps: linearChain(4), remove: [1, 3, 5] },
  { title: 'four layers with a differential sibling', steps: chainWithSibling(3), remove: [2, 3] },
];

describe('A merge that is killed', function () {
  this.timeout(WHOLE ? 7_200_000 : 600_000);
  let cloning: CloningFileSystem | undefined;
  before(async () => {
    cloning = await openCloningFileSystem();
  });
  after(() => cloning?.close());

  for (const strategy of ['copy', 'in_place', 'reflink'] as const) {
    for (const [index, each] of CASES.entries()) {
      // In the short run every strategy has one case; the soak run has all of them.
      const ours = WHOLE || index === ['reflink', 'copy', 'in_place'].indexOf(strategy);
      if (!ours) continue;
      it(`before any operation loses no point: ${strategy}, ${each.title}`, async function () {
        if (strategy === 'reflink' && !cloning) {
          console.log('      (no file system that clones files can be mounted here: reflink is not swept)');
          this.skip();
        }
        await sweep(strategy, each, strategy === 'reflink' ? cloning?.directory : undefined);
      });
    }
  }

  it('at random moments inside of qemu-img loses no point', async () => {
    const bench = await openMergeBench(linearChain(4));
    const random = createRandom(Number(process.env.STRATA_MERGE_SEED ?? Date.now() % 1000));
    try {
      for (let n = 0; n < MOMENTS; n++)
        await killInside(bench, n % 2 === 0 ? 'in_place' : 'copy', random.integer(0, 60));
      console.log(`      ${MOMENTS} random moments (seed ${random.seed}): 0 points lost`);
    } finally {
      await bench.close();
    }
  });

  it('by a loss of power between any two operations leaves files from which all is rebuilt', async () => {
    for (const strategy of WHOLE ? (['copy', 'in_place'] as const) : (['in_place'] as const)) {
      await losePower(strategy, CASES[1] ?? { title: '', steps: [], remove: [] });
    }
  });
});

interface Round {
  kept: FixtureBackup[];
  removed: FixtureBackup[];
}

function roundOf(bench: MergeBench, { remove }: Case): Round {
  const isRemoved = (_: unknown, i: number) => remove.includes(i + 1);
  const { backups } = bench.chain;
  return { kept: backups.filter((b, i) => !isRemoved(b, i)), removed: backups.filter(isRemoved) };
}

/** Kills before every operation, recovers, and compares all. */
async function sweep(strategy: Strategy, each: Case, baseDir: string | undefined): Promise<void> {
  const bench = await openMergeBench(each.steps, baseDir);
  const victims: MergeVictim[] = [];
  try {
    const round = roundOf(bench, each);
    const operations = await countOperations(bench, strategy, round);
    const first = 1 + (new Date().getDate() % STRIDE);
    const moments: number[] = [];
    for (let at = first; at <= operations.length; at += STRIDE) moments.push(at);
    const start = (at: number) => {
      const victim = startVictim(bench, strategy, { STRATA_TEST_KILL_AT: String(at) });
      victims.push(victim);
      return victim;
    };
    let next = start(first);
    for (const [n, at] of moments.entries()) {
      const victim = next;
      const following = moments[n + 1];
      if (following !== undefined) next = start(following);
      await killOnce(bench, strategy, round, victim, `killed before ${operations[at - 1]}`);
    }
    console.log(
      `      ${strategy}, ${each.title}: ${moments.length} of ${operations.length} kill points, 0 points lost`,
    );
  } finally {
    for (const victim of victims) await victim.dismiss();
    await bench.close();
  }
}

async function countOperations(
  bench: MergeBench,
  strategy: Strategy,
  { kept, removed }: Round,
): Promise<string[]> {
  const log = join(bench.suite.tempDir, 'operations');
  const victim = startVictim(bench, strategy, { STRATA_TEST_KILL_LOG: log });
  const { code, output } = await victim.run(await bench.add(...removed));
  expect(code, output).to.equal(0);
  await bench.comparePoints(kept, 'not killed');
  await bench.expectDone(kept, 'not killed');
  const operations = (await readFile(log, 'utf8')).trim().split('\n');
  expect(operations.length).to.be.greaterThan(40);
  return operations;
}

async function killOnce(
  bench: MergeBench,
  strategy: Strategy,
  { kept, removed }: Round,
  victim: MergeVictim,
  context: string,
): Promise<void> {
  await bench.reset();
  const jobId = await bench.add(...removed);
  const end = await victim.run(jobId);
  expect(end.signal, `${context}: ${end.output}`).to.equal('SIGKILL');
  await recoverAndCompare(bench, strategy, { kept, removed }, jobId, context);
}

/** What the survivors find and do. */
async function recoverAndCompare(
  bench: MergeBench,
  strategy: Strategy,
  { kept }: Round,
  jobId: string,
  context: string,
): Promise<void> {
  await bench.comparePoints(kept, `${context}, before recovery`);
  await bench.expectRebuildable(kept, `${context}, before recovery`);
  const [job] = await bench.ds.query<{ status: string }[]>(
    'SELECT status FROM maintenance_jobs WHERE id = ?',
    [jobId],
  );
  if (job?.status !== 'completed') await bench.attempt(jobId, strategy);
  await bench.comparePoints(kept, context);
  await bench.expectRebuildable(kept, context);
  await bench.expectDone(kept, context);
  const again = await bench.attempt(await bench.add(), strategy);
  expect(again.steps, `${context}, second recovery`).to.deep.equal([]);
}

async function killInside(bench: MergeBench, strategy: Strategy, delayMs: number): Promise<void> {
  const round = { kept: [bench.at(3), bench.at(5)], removed: [bench.at(1), bench.at(2), bench.at(4)] };
  await bench.reset();
  const victim = startVictim(bench, strategy);
  const jobId = await bench.add(...round.removed);
  const gone = victim.run(jobId);
  await Promise.race([victim.held, gone]);
  await new Promise((resolve) => setTimeout(resolve, 100 + delayMs * 10));
  victim.child.kill('SIGKILL');
  await gone;
  await recoverAndCompare(
    bench,
    strategy,
    round,
    jobId,
    `${strategy}, killed after ${100 + delayMs * 10} ms`,
  );
}

/** A run to the end that leaves a copy of the files before each operation; each copy is taken over by a new database. */
async function losePower(strategy: Strategy, each: Case): Promise<void> {
  const bench = await openMergeBench(each.steps);
  const suite = await createSuite();
  const ds = await openSuiteDatabase(suite);
  try {
    const { kept, removed } = roundOf(bench, each);
    const copies = join(bench.suite.tempDir, 'copies');
    await mkdir(copies);
    const victim = startVictim(bench, strategy, { STRATA_TEST_KILL_COPIES: copies });
    const { code, output } = await victim.run(await bench.add(...removed));
    expect(code, output).to.equal(0);
    const names = (await readdir(copies)).sort((a, b) => Number(a) - Number(b));
    const chosen = names.filter((_, i) => WHOLE || i % STRIDE === new Date().getDate() % STRIDE);
    for (const name of chosen) {
      const root = join(copies, name);
      const context = `${strategy}, power lost before operation ${name}`;
      await bench.comparePoints(kept, context, root);
      await bench.expectRebuildable(kept, context, root);
      const { repositoryId: id } = bench.chain;
      const about = { name: id, type: 'local' as const, pool: 'default', createdAt: new Date() };
      await ds.getRepository(Repository).insert({ id, rootPath: root, ...about });
      const signal = new AbortController().signal;
      await runRebuild({ ds, repository: { id, rootPath: root }, dryRun: false, signal });
      const rows = await ds.query<{ id: string; status: string }[]>('SELECT id, status FROM backup_jobs');
      const points = rows.filter(({ status }) => status === 'completed').map((row) => row.id);
      expect(points, context).to.include.members(kept.map((backup) => backup.id));
      await emptyCatalogue(ds);
      await rm(root, { recursive: true });
    }
    console.log(`      ${strategy}: ${chosen.length} of ${names.length} losses of power, 0 points lost`);
  } finally {
    await ds.destroy();
    await suite.close();
    await bench.close();
  }
}

async function emptyCatalogue(ds: MergeBench['ds']): Promise<void> {
  const session = ds.createQueryRunner();
  try {
    await session.query('SET FOREIGN_KEY_CHECKS = 0');
    for (const table of [
      'backup_jobs',
      'restore_points',
      'backup_chains',
      'vm_disks',
      'vm_contexts',
      'repositories',
    ]) {
      await session.query(`DELETE FROM ${table}`);
    }
    await session.query('SET FOREIGN_KEY_CHECKS = 1');
  } finally {
    await session.release();
  }
}
