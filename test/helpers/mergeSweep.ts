// Merges that are killed again and again, at chosen operations, and what the survivors make of it.
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Strategy } from '../../src/services/consolidation/strategy.js';
import type { ChainStep, FixtureBackup } from './chainFixture.js';
import { chainWithSibling, linearChain, type MergeBench, openMergeBench } from './mergeBench.js';
import { type MergeVictim, startVictim } from './mergeVictim.js';

/** A long run says its stride, 1 for every point, and sweeps all cases; a short one takes a few points of one case. */
export const WHOLE = process.env.STRATA_KILL_STRIDE !== undefined;
const STRIDE = Number(process.env.STRATA_KILL_STRIDE ?? 53);
/** Other cases and points each day of the month. */
const DAY = new Date().getDate();

export const STRATEGIES = ['copy', 'in_place', 'reflink'] as const;

/** The one whose day it is, or all of them. */
export function strategiesOf(isLong: boolean): readonly Strategy[] {
  return isLong ? STRATEGIES : STRATEGIES.filter((_, index) => index === DAY % STRATEGIES.length);
}

export interface MergeCase {
  title: string;
  steps: ChainStep[];
  /** Numbers of the backups, from 1. */
  remove: number[];
}

const ALL_CASES: MergeCase[] = [
  { title: 'a full and two increments, the full merged upward', steps: linearChain(2), remove: [1] },
  { title: 'five layers, two runs and a tip', steps: linearChain(4), remove: [1, 3, 5] },
  { title: 'four layers with a differential sibling', steps: chainWithSibling(3), remove: [2, 3] },
  { title: 'three layers with a differential sibling', steps: chainWithSibling(2), remove: [2] },
  { title: 'four layers, the full and an increment', steps: linearChain(3), remove: [1, 2] },
];

export const CASES = WHOLE ? ALL_CASES : [ALL_CASES[DAY % ALL_CASES.length] as MergeCase];

/** Those of a list whose turn it is. */
export function inTurn<T>(all: readonly T[]): T[] {
  return all.filter((_, index) => index % STRIDE === DAY % STRIDE);
}

/** Benches that several tests use; each begins with the same files and rows. */
export function createBenches(baseDir: () => string | undefined) {
  const open = new Map<MergeCase, MergeBench>();
  return {
    get: async (each: MergeCase): Promise<MergeBench> => {
      const bench = open.get(each) ?? (await openMergeBench(each.steps, baseDir()));
      open.set(each, bench);
      return bench;
    },
    close: async () => {
      for (const bench of open.values()) await bench.close();
    },
  };
}

export interface Round {
  kept: FixtureBackup[];
  removed: FixtureBackup[];
}

export function roundOf(bench: MergeBench, remove: readonly number[]): Round {
  const isRemoved = (_: unknown, i: number) => remove.includes(i + 1);
  const { backups } = bench.chain;
  return { kept: backups.filter((b, i) => !isRemoved(b, i)), removed: backups.filter(isRemoved) };
}

/** A kill before an operation, or after it and before anybody hears of its end. */
export interface KillPoint {
  /** From 1. */
  at: number;
  when: 'before' | 'after';
  /** What was not flushed is lost: all of it for 0, by chance for any other seed; undefined: nothing is. */
  loss?: number;
}

/**
 * Kills at every point, recovers, and compares all.
 * @param strategy `convert`: what is killed is a synthetic full, which removes nothing
 * @param choose the points among so many operations
 */
export async function sweep(
  bench: MergeBench,
  strategy: Strategy,
  { remove }: Pick<MergeCase, 'remove'>,
  choose: (operations: number) => KillPoint[],
): Promise<string> {
  const victims: MergeVictim[] = [];
  try {
    const round = roundOf(bench, remove);
    const operations = await countOperations(bench, strategy, round);
    const points = choose(operations.length);
    const start = ({ at, when, loss }: KillPoint) => {
      const victim = startVictim(bench, strategy, {
        STRATA_TEST_KILL_AT: String(at),
        STRATA_TEST_KILL_WHEN: when,
        ...(loss === undefined
          ? {}
          : { STRATA_TEST_KILL_LOST: bench.lost, STRATA_TEST_KILL_SEED: String(loss) }),
      });
      victims.push(victim);
      return victim;
    };
    let next = points[0] && start(points[0]);
    for (const [n, point] of points.entries()) {
      const victim = next;
      const following = points[n + 1];
      next = following && start(following);
      if (victim) await killOnce(bench, strategy, round, victim, point, operations[point.at - 1] ?? '');
    }
    return `${points.length} kill points (${operations.length} operations), 0 points lost`;
  } finally {
    for (const victim of victims) await victim.dismiss();
  }
}

function addJob(bench: MergeBench, strategy: Strategy, { removed }: Round): Promise<string> {
  return strategy === 'convert' ? bench.addFull() : bench.add(...removed);
}

/** A run that is not killed. */
async function countOperations(bench: MergeBench, strategy: Strategy, round: Round): Promise<string[]> {
  const { kept } = round;
  await bench.reset();
  const log = join(bench.suite.tempDir, 'operations');
  await rm(log, { force: true });
  const victim = startVictim(bench, strategy, { STRATA_TEST_KILL_LOG: log });
  const { code, output } = await victim.run(await addJob(bench, strategy, round));
  expect(code, output).to.equal(0);
  await bench.comparePoints(kept, 'not killed');
  await bench.expectDone(kept, 'not killed');
  const operations = (await readFile(log, 'utf8')).trim().split('\n');
  expect(operations.length).to.be.greaterThan(strategy === 'convert' ? 20 : 40);
  return operations;
}

async function killOnce(
  bench: MergeBench,
  strategy: Strategy,
  round: Round,
  victim: MergeVictim,
  { when, loss }: KillPoint,
  operation: string,
): Promise<void> {
  const lost = loss === undefined ? '' : `, power lost (${loss})`;
  const context = `${strategy}, killed ${when} ${operation}${lost}`;
  await bench.reset();
  const jobId = await addJob(bench, strategy, round);
  const end = await victim.run(jobId);
  expect(end.signal, `${context}: ${end.output}`).to.equal('SIGKILL');
  if (loss !== undefined) await bench.losePower();
  await recoverAndCompare(bench, strategy, round, jobId, context);
}

/** What the survivors find and do; a second recovery finds nothing to do. */
export async function recoverAndCompare(
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
  const isFull = strategy === 'convert';
  if (job?.status !== 'completed') await (isFull ? bench.attemptFull(jobId) : bench.attempt(jobId, strategy));
  await bench.comparePoints(kept, context);
  await bench.expectRebuildable(kept, context);
  await bench.expectDone(kept, context);
  if (isFull) return expectFullAgain(bench, context);
  const again = await bench.attempt(await bench.add(), strategy);
  expect(again.steps, `${context}, second recovery`).to.deep.equal([]);
}

/** The latest backup stands alone, and who makes it a full once more finds that done and touches no file. */
async function expectFullAgain(bench: MergeBench, context: string): Promise<void> {
  const { image, id } = bench.at(bench.chain.backups.length);
  const before = await stat(image);
  const again = await bench.attemptFull(await bench.addFull());
  expect(again, `${context}, second recovery`).to.deep.equal({ backup_id: id, layers_before: 0 });
  const { ino, mtimeMs } = await stat(image);
  expect({ ino, mtimeMs }, `${context}, second recovery`).to.include({
    ino: before.ino,
    mtimeMs: before.mtimeMs,
  });
}
