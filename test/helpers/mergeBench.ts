// A chain that is merged again and again: each round begins with the same files and rows.
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import type { DataSource } from 'typeorm';
import { takePosition } from '../../src/db/jobs/position.js';
import { inTransaction } from '../../src/db/transaction.js';
import { BackupChain, BackupJob, MaintenanceJob } from '../../src/entities/index.js';
import { backingNameOf, compareImages } from '../../src/qcow2/index.js';
import type { Strategy } from '../../src/services/consolidation/strategy.js';
import { runConsolidation, settleSwitch } from '../../src/services/consolidation/index.js';
import { planDisk } from '../../src/services/repository/rebuild/plan.js';
import { NOTHING_EXISTS } from '../../src/services/repository/rebuild/facts.js';
import { readDisk } from '../../src/services/repository/rebuild/readDisk.js';
import { diskDirectory } from '../../src/services/repository/layout.js';
import { runValidation } from '../../src/services/validation/index.js';
import { systemClock } from '../../src/shared/clock.js';
import { newId } from '../../src/shared/ids.js';
import { buildChain, type ChainFixture, type ChainStep, type FixtureBackup } from './chainFixture.js';
import { addValidation, hold, openSuiteDatabase } from './chainJobs.js';
import { createSuite, type Suite } from './suite.js';

export type MergeRun = Awaited<ReturnType<typeof runConsolidation>>['result'];

export interface MergeBench {
  suite: Suite;
  ds: DataSource;
  chain: ChainFixture;
  /** By number, from 1. */
  at(number: number): FixtureBackup;
  /** A job that removes these, ready to be run. */
  add(...remove: FixtureBackup[]): Promise<string>;
  /** Runs an attempt of a job here. */
  attempt(jobId: string, strategy?: Strategy): Promise<MergeRun>;
  /** Files and rows as they were at the beginning. */
  reset(): Promise<void>;
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

/** @param baseDir where the repository lies; the suite's directory by default */
export async function openMergeBench(steps: readonly ChainStep[], baseDir?: string): Promise<MergeBench> {
  const suite = await createSuite();
  const ds = await openSuiteDatabase(suite);
  const chain = await buildChain(ds, baseDir ?? suite.tempDir, steps, SIZE);
  const saved = join(suite.tempDir, 'saved');
  await cp(chain.directory, saved, { recursive: true, preserveTimestamps: true });
  const contents = join(suite.tempDir, 'contents');
  await mkdir(contents);
  for (const { id, content } of chain.backups) await writeFile(join(contents, id), content);
  const rows = await saveRows(ds);
  const scratchDir = await mkdtemp(join(suite.tempDir, 's-'));
  const deps = { ds, clock: systemClock, scratchDir };
  const at = (number: number): FixtureBackup => {
    const backup = chain.backups.at(number - 1);
    if (!backup) throw new Error(`There is no backup ${number}.`);
    return backup;
  };
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
    add: (...remove) =>
      addConsolidation(
        ds,
        chain,
        remove.map(({ id }) => id),
      ),
    attempt: async (jobId, strategy) => {
      const held = await hold(ds, 'maintenance', jobId);
      await settleSwitch(deps, held);
      const { result } = await runConsolidation(deps, held, jobId, () => undefined, strategy);
      return result;
    },
    reset: async () => {
      await rm(chain.directory, { recursive: true });
      await cp(saved, chain.directory, { recursive: true, preserveTimestamps: true });
      await rows.restore();
    },
    expectRebuildable: (kept, context, root = chain.root) => expectRebuildable(chain, kept, context, root),
    expectDone: (kept, context) => expectDone(ds, chain, kept, context),
    close: async () => {
      await ds.destroy();
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
  const id = newId('mnt', new Date());
  const { chainId, repositoryId } = chain;
  const { seq, status } = await inTransaction(ds, (tx) => takePosition(tx, chainId));
  const params = { remove: [...remove] };
  await ds.getRepository(MaintenanceJob).insert({
    id,
    chainId,
    repositoryId,
    seq,
    status,
    type: 'consolidate',
    params,
    createdAt: new Date(),
  });
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

async function expectRebuildable(
  chain: ChainFixture,
  kept: readonly FixtureBackup[],
  context: string,
  root: string,
): Promise<void> {
  const { vm_context_id: vmContextId, disk_id: diskId } = chain.backups[0]?.manifestContent ?? {
    vm_context_id: '',
    disk_id: 0,
  };
  const directory = diskDirectory(vmContextId, diskId);
  const names = await readdir(join(root, directory));
  const found = await readDisk({
    root,
    repositoryId: chain.repositoryId,
    disk: { vmContextId, diskId, directory, names },
    signal: new AbortController().signal,
  });
  const plan = planDisk(found, NOTHING_EXISTS);
  const rows = new Map(plan.insert.map((backup) => [backup.manifest.backup_id, backup]));
  for (const { id, path, contentId } of kept) {
    const row = rows.get(id);
    expect(row, `${context}: ${id} is not taken in: ${JSON.stringify(plan.problems)}`).to.not.equal(
      undefined,
    );
    expect(row?.health, `${context}: ${id}`).to.equal('ok');
    expect(row?.manifest, `${context}: ${id}`).to.include({ content_id: contentId });
    expect(row?.manifest.expired_at, `${context}: ${id}`).to.equal(undefined);
    // Down to a full, each image refers to what the rows say.
    for (let at = row; at; at = rows.get(at.manifest.parent_backup_id ?? '')) {
      const backing = await backingNameOf(join(root, at.path));
      expect(backing ?? null, `${context}: below ${id}`).to.equal(at.manifest.parent_file);
      if (at.manifest.parent_backup_id === null) break;
      expect([...rows.keys()], `${context}: below ${id} (${basename(path)})`).to.include(
        at.manifest.parent_backup_id,
      );
    }
  }
  const refused = [...found.problems, ...plan.problems].filter(({ severity }) => severity === 'refused');
  expect(refused, context).to.deep.equal([]);
}

async function expectDone(
  ds: DataSource,
  chain: ChainFixture,
  kept: readonly FixtureBackup[],
  context: string,
): Promise<void> {
  const rows = await ds.getRepository(BackupJob).find({ where: { chainId: chain.chainId } });
  const points = rows.filter(({ status }) => status === 'completed').map(({ id }) => id);
  expect(points, context).to.have.members(kept.map(({ id }) => id));
  for (const { status, fileRemovedAt } of rows)
    if (status === 'expired') expect(fileRemovedAt, context).to.not.equal(null);
  const files = kept.flatMap(({ image, digests, manifest }) => [image, digests, manifest]);
  expect(await readdir(chain.directory), context).to.have.members(files.map((file) => basename(file)));
  const jobId = await addValidation(ds, chain);
  const { result } = await runValidation(
    { ds, clock: systemClock, scratchDir: chain.root },
    await hold(ds, 'maintenance', jobId),
    jobId,
    () => undefined,
  );
  expect(result.findings, context).to.deep.equal([]);
  const head = await ds.getRepository(BackupChain).findOneByOrFail({ id: chain.chainId });
  expect(head.latestBackupId, context).to.equal(kept.at(-1)?.id ?? null);
  expect(head.mergingBackupId, context).to.equal(null);
  expect(head.totalBackups, context).to.equal(kept.length);
}
