// A chain that is merged again and again: each round begins with the same files and rows.
import { cp, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { DataSource } from 'typeorm';
import { takePosition } from '../../src/db/job/position.js';
import { inTransaction } from '../../src/db/transaction.js';
import { MaintenanceJob } from '../../src/entities/index.js';
import { compareImages } from '../../src/qcow2/index.js';
import type { HeldLease } from '../../src/services/job/holdLease.js';
import type { ReportProgress } from '../../src/services/deps.js';
import type { Strategy } from '../../src/services/consolidation/strategy.js';
import {
  runConsolidation,
  runSyntheticFull,
  finishHalfSwitch,
} from '../../src/services/consolidation/index.js';
import { systemClock } from '../../src/shared/clock.js';
import { newId } from '../../src/shared/ids.js';
import {
  buildChain,
  type ChainFixture,
  type ChainStep,
  type FixtureBackup,
  nthBackup,
} from './chainFixture.js';
import { hold } from './chainJobs.js';
import { expectDone, expectRebuildable } from './mergeVerdict.js';
import { type DatabaseSuite, openDatabaseSuite } from './openSuite.js';
import { type Under, underLease } from '../../src/services/job/under.js';

export type MergeRun = Awaited<ReturnType<typeof runConsolidation>>['result'];
export type FullRun = Awaited<ReturnType<typeof runSyntheticFull>>['result'];

/** In which way an attempt is run. */
export interface How {
  /** Cancels it. */
  signal?: AbortSignal;
  rate?: HeldLease['rate'];
  report?: ReportProgress;
}

export interface MergeBench {
  suite: DatabaseSuite;
  ds: DataSource;
  chain: ChainFixture;
  /** By number, from 1. */
  at(number: number): FixtureBackup;
  /** A job that removes these, ready to be run. */
  add(...remove: FixtureBackup[]): Promise<string>;
  /** Runs an attempt of a job here. */
  attempt(jobId: string, strategy?: Strategy, how?: How): Promise<MergeRun>;
  /** The same two for a synthetic full of the latest backup. */
  addFull(): Promise<string>;
  attemptFull(jobId: string, how?: How): Promise<FullRun>;
  /** Files and rows as they were at the beginning. */
  reset(): Promise<void>;
  /** Where a victim that is killed writes what a loss of power leaves, `STRATA_TEST_KILL_LOST`. */
  lost: string;
  /** Puts that in the place of the files. */
  losePower(): Promise<void>;
  /** Every kept point by plain qemu-img on the directory as it is; `root` for a copy of it. */
  comparePoints(kept: readonly FixtureBackup[], context: string, root?: string): Promise<void>;
  /** What a rebuild from the files alone would take in: every kept point, healthy, on what its image refers to. */
  expectRebuildable(kept: readonly FixtureBackup[], context: string, root?: string): Promise<void>;
  /** Kept rows complete, the others gone with their files, and a validation that finds nothing. */
  expectDone(kept: readonly FixtureBackup[], context: string): Promise<void>;
  close(): Promise<void>;
}

const MIB = 1024 ** 2;
const SIZE = 8 * MIB;

/** Writes that overlap from layer to layer, zeros over data among them. */
const writes = (n: number): ChainStep['writes'] => [
  { offset: (n % 4) * MIB, length: MIB / 2, pattern: 0x10 + n },
  { offset: 4 * MIB + n * 65536, length: 2 * 65536, pattern: n % 2 === 0 ? 0 : 0x50 + n },
];

/** A full and `increments` upon it. */
export function linearChain(increments: number): ChainStep[] {
  const full = [{ offset: 0, length: 6 * MIB, pattern: 0x0f }];
  const rest = Array.from(
    { length: increments },
    (_, i): ChainStep => ({
      type: 'incremental',
      writes: writes(i + 1),
    }),
  );
  return [{ type: 'full', writes: full }, ...rest];
}

/** The same, and at last a differential that stands on the full beside the first increment. */
export function chainWithSibling(increments: number): ChainStep[] {
  return [...linearChain(increments), { type: 'differential', writes: writes(increments + 1) }];
}

/**
 * @param baseDir where the repository lies; the suite's directory by default
 * @param virtualSize bytes of the disk
 */
export async function openMergeBench(
  steps: readonly ChainStep[],
  baseDir?: string,
  virtualSize = SIZE,
): Promise<MergeBench> {
  const suite = await openDatabaseSuite();
  const { ds } = suite;
  const chain = await buildChain(ds, baseDir ?? suite.tempDir, steps, virtualSize);
  const saved = join(suite.tempDir, 'saved');
  await cp(chain.directory, saved, { recursive: true, preserveTimestamps: true });
  const contents = join(suite.tempDir, 'contents');
  await mkdir(contents);
  for (const { id, content } of chain.backups) await writeFile(join(contents, id), content);
  const rows = await saveRows(ds);
  const scratchDir = await mkdtemp(join(suite.tempDir, 's-'));
  const deps = { ds, clock: systemClock, scratchDir };
  const begin = async (jobId: string, { signal, rate, report = () => undefined }: How): Promise<Under> => {
    const held = { ...(await hold(ds, 'maintenance', jobId, signal)), ...(rate ? { rate } : {}) };
    const under = underLease(deps, held, report);
    await finishHalfSwitch(under);
    return under;
  };
  const lost = `${chain.root}.lost`;
  const at = (number: number): FixtureBackup => nthBackup(chain, number);
  const comparePoints: MergeBench['comparePoints'] = async (kept, context, root = chain.root) => {
    for (const { id, path } of kept) {
      const { identical, message } = await compareImages(
        { type: 'file', path: join(root, path), format: 'qcow2' },
        { type: 'file', path: join(contents, id), format: 'raw' },
      );
      expect(identical, `${context}: ${id}: ${message}`).to.equal(true);
    }
  };
  return {
    suite,
    ds,
    chain,
    at,
    comparePoints,
    lost,
    losePower: async () => {
      await rm(chain.directory, { recursive: true });
      await rename(join(lost, chain.directory.slice(chain.root.length)), chain.directory);
      for (const path of [lost, `${chain.root}.flushed`]) await rm(path, { recursive: true });
    },
    add: (...remove) =>
      addConsolidation(
        ds,
        chain,
        remove.map(({ id }) => id),
      ),
    attempt: async (jobId, strategy, how = {}) => {
      return (await runConsolidation(await begin(jobId, how), strategy)).result;
    },
    addFull: () => addJob(ds, chain, { type: 'synthetic_full', params: {} }),
    attemptFull: async (jobId, how = {}) => {
      return (await runSyntheticFull(await begin(jobId, how))).result;
    },
    reset: async () => {
      await rm(chain.directory, { recursive: true });
      await cp(saved, chain.directory, { recursive: true, preserveTimestamps: true });
      await rows.restore();
    },
    expectRebuildable: (kept, context, root = chain.root) => expectRebuildable(chain, kept, context, root),
    expectDone: (kept, context) => expectDone(ds, chain, kept, context),
    close: async () => {
      await suite.close();
    },
  };
}

/** A consolidation that removes these, ready to be run. */
export async function addConsolidation(
  ds: DataSource,
  chain: ChainFixture,
  remove: readonly string[],
): Promise<string> {
  return addJob(ds, chain, { type: 'consolidate', params: { remove: [...remove] } });
}

async function addJob(
  ds: DataSource,
  { chainId, repositoryId }: ChainFixture,
  job: Pick<MaintenanceJob, 'type' | 'params'>,
): Promise<string> {
  const id = newId('mnt', new Date());
  const { seq, status } = await inTransaction(ds, (tx) => takePosition(tx, chainId));
  const createdAt = new Date();
  await ds
    .getRepository(MaintenanceJob)
    .insert({ id, chainId, repositoryId, seq, status, ...job, createdAt });
  return id;
}

const TABLES = ['backup_jobs', 'restore_points', 'backup_chains'];

/** The rows as they are now, to be put back as they were. Fences only grow, here as well. */
async function saveRows(ds: DataSource): Promise<{ restore: () => Promise<void> }> {
  for (const table of TABLES) await ds.query(`CREATE TABLE saved_${table} AS SELECT * FROM ${table}`);
  return {
    restore: async () => {
      const [chain] = await ds.query<{ fence: string }[]>('SELECT fence FROM backup_chains');
      const session = ds.createQueryRunner();
      try {
        await session.query('SET FOREIGN_KEY_CHECKS = 0');
        for (const table of ['job_steps', 'maintenance_jobs', ...TABLES])
          await session.query(`DELETE FROM ${table}`);
        for (const table of TABLES) await session.query(`INSERT INTO ${table} SELECT * FROM saved_${table}`);
        await session.query('SET FOREIGN_KEY_CHECKS = 1');
        await session.query('UPDATE backup_chains SET fence = ?', [chain?.fence ?? 0]);
      } finally {
        await session.release();
      }
    },
  };
}
