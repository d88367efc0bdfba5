// A catalogue that is older than the files: what was backed up since is in the repository only.
import { randomBytes } from 'node:crypto';
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { DataSource } from 'typeorm';
import { GRACE_MS } from '../../src/services/reconcile/index.js';
import type { ChainFixture } from './chainFixture.js';

const TABLES = [
  'vm_contexts',
  'vm_disks',
  'backup_chains',
  'restore_points',
  'backup_jobs',
  'maintenance_jobs',
  'restore_jobs',
  'job_steps',
];

/**
 * Copies the catalogue within the server, as a dump does.
 * @returns puts that copy in the place of what the catalogue has become
 */
export async function dumpCatalogue(ds: DataSource): Promise<() => Promise<void>> {
  const suffix = randomBytes(4).toString('hex');
  for (const table of TABLES) await ds.query(`CREATE TABLE old_${suffix}_${table} AS SELECT * FROM ${table}`);
  return () =>
    ds.transaction(async (tx) => {
      await tx.query('SET FOREIGN_KEY_CHECKS = 0');
      for (const table of TABLES) {
        await tx.query(`DELETE FROM ${table}`);
        await tx.query(`INSERT INTO ${table} SELECT * FROM old_${suffix}_${table}`);
      }
      await tx.query('SET FOREIGN_KEY_CHECKS = 1');
    });
}

/** Takes the newest backups out of the catalogue, so that `count` are left. */
export async function forgetNewest(ds: DataSource, chain: ChainFixture, count: number): Promise<void> {
  const left = chain.backups.slice(0, count);
  await ds.query(
    'UPDATE backup_chains SET latest_backup_id = ?, full_backup_id = ?, total_backups = ? WHERE id = ?',
    [left.at(-1)?.id ?? null, left.findLast(({ type }) => type === 'full')?.id ?? null, count, chain.chainId],
  );
  for (const { id, manifestContent } of chain.backups.slice(count).reverse()) {
    await ds.query('DELETE FROM backup_jobs WHERE id = ?', [id]);
    await ds.query('DELETE FROM restore_points WHERE id = ?', [manifestContent.restore_point_id]);
  }
}

/** Makes all files of a directory older than the grace in which unknown ones are left alone; each has a time of its own, as before. */
export async function ageFiles(directory: string): Promise<void> {
  for (const [index, name] of (await readdir(directory)).sort().entries()) {
    const old = new Date(Date.now() - GRACE_MS - 60_000 - index * 1000);
    await utimes(join(directory, name), old, old);
  }
}
