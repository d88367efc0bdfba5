import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { DataSource } from 'typeorm';
import { Repository } from '../../src/entities/index.js';
import type { Strategy } from '../../src/services/consolidation/strategy.js';
import { rebuildCatalogue } from '../../src/services/rebuild/rebuildCatalogue.js';
import { type CloningFileSystem, openCloningFileSystem } from '../helpers/cloningFileSystem.js';
import type { MergeBench } from '../helpers/mergeBench.js';
import {
  CASES,
  createBenches,
  inTurn,
  type KillPoint,
  type MergeCase,
  roundOf,
  strategiesOf,
  sweep,
  WHOLE,
} from '../helpers/mergeSweep.js';
import { startVictim } from '../helpers/mergeVictim.js';
import { type DatabaseSuite, openDatabaseSuite } from '../helpers/openSuite.js';

/** What is left of that which was not flushed: nothing, or by chance, from this seed on. */
const SEED = Number(process.env.STRATA_MERGE_SEED ?? 1 + (Date.now() % 1_000_000));

describe('A merge that is cut by a loss of power', function () {
  this.timeout(WHOLE ? 7_200_000 : 600_000);
  let cloning: CloningFileSystem | undefined;
  let suite: DatabaseSuite;
  let ds: DataSource;
  const benches = createBenches(() => cloning?.directory);
  before(async () => {
    cloning = await openCloningFileSystem();
    suite = await openDatabaseSuite();
    ({ ds } = suite);
  });
  after(async () => {
    await benches.close();
    await suite.close();
    await cloning?.close();
  });

  for (const strategy of strategiesOf(WHOLE)) {
    for (const each of CASES) {
      it(`which takes what was not flushed loses no point: ${strategy}, ${each.title}`, async function () {
        if (strategy === 'reflink' && !cloning) this.skip();
        const done = await sweep(await benches.get(each), strategy, each, losses);
        console.log(`      ${done} (seed ${SEED})`);
      });
    }
  }

  it('between any two operations leaves files from which all is rebuilt', async () => {
    for (const strategy of strategiesOf(WHOLE)) {
      if (strategy === 'reflink' && !cloning) continue;
      for (const each of CASES) {
        const bench = await benches.get(each);
        console.log(`      ${strategy}, ${each.title}: ${await rebuildEach(bench, ds, strategy, each)}`);
      }
    }
  });
});

/** Before each operation, once with the least that can be left and once with some of the rest. */
function losses(operations: number): KillPoint[] {
  const points = Array.from({ length: operations }, (_, n) =>
    [0, SEED + n].map((loss) => ({ at: n + 1, when: 'before' as const, loss })),
  );
  return inTurn(points.flat());
}

/** A run to the end that leaves a copy of the files before each operation; each copy is taken over by a new database. */
async function rebuildEach(
  bench: MergeBench,
  ds: DataSource,
  strategy: Strategy,
  { remove }: MergeCase,
): Promise<string> {
  await bench.reset();
  const { kept, removed } = roundOf(bench, remove);
  const copies = join(bench.suite.tempDir, `copies-${strategy}`);
  await mkdir(copies);
  const victim = startVictim(bench, strategy, { STRATA_TEST_KILL_COPIES: copies });
  const { code, output } = await victim.run(await bench.add(...removed));
  expect(code, output).to.equal(0);
  const names = (await readdir(copies)).sort((a, b) => Number(a) - Number(b));
  const chosen = inTurn(names);
  for (const name of chosen) {
    const root = join(copies, name);
    const context = `${strategy}, power lost before operation ${name}`;
    await bench.comparePoints(kept, context, root);
    await bench.expectRebuildable(kept, context, root);
    const { repositoryId: id } = bench.chain;
    const about = { name: id, type: 'local' as const, pool: 'default', createdAt: new Date() };
    await ds.getRepository(Repository).insert({ id, rootPath: root, ...about });
    const signal = new AbortController().signal;
    await rebuildCatalogue({ ds, repository: { id, rootPath: root }, dryRun: false, signal });
    const rows = await ds.query<{ id: string; status: string }[]>('SELECT id, status FROM backup_jobs');
    const points = rows.filter(({ status }) => status === 'completed').map((row) => row.id);
    expect(points, context).to.include.members(kept.map((backup) => backup.id));
    await emptyCatalogue(ds);
    await rm(root, { recursive: true });
  }
  await rm(copies, { recursive: true });
  return `${chosen.length} of ${names.length} losses of power, 0 points lost`;
}

async function emptyCatalogue(ds: DataSource): Promise<void> {
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
