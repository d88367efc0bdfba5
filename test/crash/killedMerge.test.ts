import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Strategy } from '../../src/services/consolidation/strategy.js';
import type { ChainStep } from '../helpers/chainFixture.js';
import { type CloningFileSystem, openCloningFileSystem } from '../helpers/cloningFileSystem.js';
import { type MergeBench, openMergeBench } from '../helpers/mergeBench.js';
import {
  CASES,
  createBenches,
  inTurn,
  type KillPoint,
  recoverAndCompare,
  type Round,
  roundOf,
  STRATEGIES,
  strategiesOf,
  sweep,
  WHOLE,
} from '../helpers/mergeSweep.js';
import { startVictim } from '../helpers/mergeVictim.js';
import { createRandom, type Random } from '../helpers/random.js';
import { runTool } from '../helpers/runTool.js';

/** Of each strategy; one moment is that of the strategy whose day it is. */
const MOMENTS = Number(process.env.STRATA_MERGE_MOMENTS ?? 1);
const MIB = 1024 ** 2;

/** Enough for `qemu-img commit` to have something to do: 16 MiB. */
const HEAVY: ChainStep[] = [
  { type: 'full', writes: [{ offset: 0, length: 24 * MIB, pattern: 0x0f }] },
  ...[1, 2, 3].map(
    (n): ChainStep => ({
      type: 'incremental',
      writes: [{ offset: n * 6 * MIB, length: 8 * MIB, pattern: 0x10 + n }],
    }),
  ),
];

describe('A merge that is killed', function () {
  this.timeout(WHOLE ? 7_200_000 : 600_000);
  let cloning: CloningFileSystem | undefined;
  const benches = createBenches(() => cloning?.directory);
  before(async () => {
    cloning = await openCloningFileSystem();
  });
  after(async () => {
    await benches.close();
    await cloning?.close();
  });

  for (const strategy of STRATEGIES) {
    for (const each of CASES) {
      it(`before or after any operation loses no point: ${strategy}, ${each.title}`, async function () {
        if (strategy === 'reflink' && !cloning) {
          console.log('      (no file system that clones files can be mounted here: reflink is not swept)');
          this.skip();
        }
        const done = await sweep(await benches.get(each), strategy, each, beforeAndAfter);
        console.log(`      ${done}`);
      });
    }
  }

  it('at random moments inside of qemu-img loses no point', async () => {
    const bench = await openMergeBench(HEAVY, cloning?.directory, 32 * MIB);
    const random = createRandom(Number(process.env.STRATA_MERGE_SEED ?? Date.now() % 1000));
    try {
      for (const strategy of strategiesOf(MOMENTS > 1)) {
        if (strategy === 'reflink' && !cloning) continue;
        const lasts = await commitLasts(bench, strategy);
        let inside = 0;
        for (let n = 0; n < MOMENTS; n++)
          inside += (await killInside(bench, strategy, random, lasts)) ? 1 : 0;
        console.log(
          `      ${strategy}: ${MOMENTS} random moments, ${inside} of them before the end of qemu-img (${lasts} ms, seed ${random.seed}): 0 points lost`,
        );
      }
    } finally {
      await bench.close();
    }
  });
});

function beforeAndAfter(operations: number): KillPoint[] {
  const points = Array.from({ length: operations }, (_, n) =>
    (['before', 'after'] as const).map((when) => ({ at: n + 1, when })),
  );
  return inTurn(points.flat());
}

const logOf = (bench: MergeBench) => join(bench.suite.tempDir, 'commit');

/** How long `qemu-img commit` takes where nobody is killed, in whole milliseconds. */
async function commitLasts(bench: MergeBench, strategy: Strategy): Promise<number> {
  await bench.reset();
  const { removed } = roundOf(bench, [1, 2]);
  await rm(logOf(bench), { force: true });
  const late = { STRATA_TEST_KILL_IN_COMMIT: '600000', STRATA_TEST_KILL_LOG: logOf(bench) };
  const victim = startVictim(bench, strategy, late);
  const gone = victim.run(await bench.add(...removed));
  const ended = await endOfCommit(bench);
  await victim.dismiss();
  await gone;
  return Math.ceil(ended);
}

async function endOfCommit(bench: MergeBench): Promise<number> {
  for (const deadline = performance.now() + 60_000; performance.now() < deadline; ) {
    const ms = await commitEnded(bench);
    if (ms !== undefined) return ms;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('qemu-img commit has not ended within a minute.');
}

async function commitEnded(bench: MergeBench): Promise<number | undefined> {
  const log = await readFile(logOf(bench), 'utf8').catch(() => '');
  const match = /commit ended after (\d+)/.exec(log);
  return match ? Number(match[1]) : undefined;
}

/** @returns whether qemu-img was at work */
async function killInside(
  bench: MergeBench,
  strategy: Strategy,
  random: Random,
  lasts: number,
): Promise<boolean> {
  const round = roundOf(bench, [1, 2]);
  await bench.reset();
  await rm(logOf(bench), { force: true });
  const ms = random.integer(1, lasts);
  const jobId = await bench.add(...round.removed);
  const victim = startVictim(bench, strategy, {
    STRATA_TEST_KILL_IN_COMMIT: String(ms),
    STRATA_TEST_KILL_LOG: logOf(bench),
  });
  const { signal, output } = await victim.run(jobId);
  const context = `${strategy}, killed ${ms} ms after the start of qemu-img commit`;
  expect(signal, `${context}: ${output}`).to.equal('SIGKILL');
  const inside = (await commitEnded(bench)) === undefined;
  await locksFree(round);
  await recoverAndCompare(bench, strategy, round, jobId, context);
  return inside;
}

/** A killed tool that waits for its disk dies when that has answered, and has QEMU's lock until then. */
async function locksFree({ kept }: Round): Promise<void> {
  for (const { image } of kept) {
    const deadline = performance.now() + 60_000;
    while (!(await canBeOpened(image)))
      expect(performance.now(), `${image} is still locked`).to.be.lessThan(deadline);
  }
}

async function canBeOpened(image: string): Promise<boolean> {
  try {
    await runTool('qemu-img', 'info', image);
    return true;
  } catch (error) {
    if ((error as Error).message.includes('lock')) return false;
    throw error;
  }
}
