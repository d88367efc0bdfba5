import { mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { DataSource } from 'typeorm';
import { RestoreJob } from '../../../../src/entities/index.js';
import { compareImages, type ImageFormat } from '../../../../src/qcow2/index.js';
import type { HeldLease } from '../../../../src/services/job/holdLease.js';
import type { ReportProgress } from '../../../../src/services/deps.js';
import type { RestoreResult } from '../../../../src/services/restore/result.js';
import { runRestore } from '../../../../src/services/restore/run.js';
import { systemClock } from '../../../../src/shared/clock.js';
import {
  buildChain,
  type ChainFixture,
  type ChainStep,
  type FixtureBackup,
  nthBackup,
} from '../../../helpers/chainFixture.js';
import { addRestore, hold } from '../../../helpers/chainJobs.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../../helpers/openSuite.js';
import { underLease } from '../../../../src/services/job/under.js';

export interface RestoreWish {
  /** Number of the backup, from 1; the latest by default. */
  number?: number;
  path: string;
  format?: RestoreJob['format'];
  verify?: boolean;
  allowDamaged?: boolean;
  roots?: string[];
  /** Changes the lease that the work is given. */
  held?(held: HeldLease): HeldLease;
  signal?: AbortSignal;
  report?: ReportProgress;
}

/** A chain, a directory to restore to, and what a worker does with a restore job. */
export interface RestoreBench {
  ds: DataSource;
  suite: DatabaseSuite;
  chain: ChainFixture;
  /** The one directory that restores may write to. */
  target: string;
  at(number: number): FixtureBackup;
  add(wish: RestoreWish): Promise<string>;
  /** Runs an attempt of a job under a new fence. */
  attempt(jobId: string, wish: Partial<RestoreWish>): Promise<RestoreResult>;
  restore(wish: RestoreWish): Promise<RestoreResult>;
  close(): Promise<void>;
}

export async function openBench(steps?: readonly ChainStep[], virtualSize?: number): Promise<RestoreBench> {
  const suite = await openDatabaseSuite();
  const { ds } = suite;
  const chain = await buildChain(ds, suite.tempDir, steps, virtualSize);
  const target = join(suite.tempDir, 'restored');
  await mkdir(target);
  const scratchDir = await mkdtemp(join(suite.tempDir, 's-'));
  const at = (number: number): FixtureBackup => nthBackup(chain, number);
  const add = ({ number, path, format = 'raw', verify = true, allowDamaged = false }: RestoreWish) => {
    const backupId = at(number ?? chain.backups.length).id;
    return addRestore(ds, chain, { backupId, path, format, verify, allowDamaged });
  };
  const attempt: RestoreBench['attempt'] = async (jobId, wish) => {
    const held = await hold(ds, 'restore', jobId, wish.signal);
    const deps = { ds, clock: systemClock, scratchDir, restoreRoots: wish.roots ?? [target] };
    const report = wish.report ?? (() => undefined);
    const { result } = await runRestore(underLease(deps, wish.held?.(held) ?? held, report));
    return result;
  };
  return {
    ds,
    suite,
    chain,
    target,
    at,
    add,
    attempt,
    restore: async (wish) => {
      const jobId = await add(wish);
      try {
        return await attempt(jobId, wish);
      } catch (error) {
        // A worker would settle it; the chain's next job must not wait for it here.
        await ds.getRepository(RestoreJob).update(jobId, { status: 'failed' });
        await ds.query('UPDATE backup_chains SET lease_until = NULL WHERE id = ?', [chain.chainId]);
        throw error;
      }
    },
    close: async () => {
      await suite.close();
    },
  };
}

/** Compares a restored image with the saved copy of that moment, by qemu-img. */
export async function expectSame(
  bench: RestoreBench,
  backup: FixtureBackup,
  path: string,
  format: ImageFormat,
): Promise<void> {
  const saved = join(bench.suite.tempDir, 'saved.raw');
  await writeFile(saved, backup.content);
  const compared = await compareImages(
    { type: 'file', path: saved, format: 'raw' },
    { type: 'file', path, format },
  );
  expect(compared).to.deep.include({ identical: true });
}

/** All names in the target directory, hidden ones too. */
export function names(bench: RestoreBench): Promise<string[]> {
  return readdir(bench.target).then((found) => found.toSorted());
}
