import type { DataSource, EntityManager } from 'typeorm';
import type { JobStatus } from '../../shared/jobs.js';
import { StrataError } from '../../shared/errors.js';
import { asking } from '../transaction.js';
import { select } from '../page.js';

/** Whose chains are meant. */
export interface ChainOwner {
  kind: 'vm' | 'repository';
  id: string;
}

/** A chain of a VM or a repository. */
export interface ChainOfTarget {
  chainId: string;
  vmContextId: string;
  vmName: string;
  diskId: number;
  /** It has restore points. */
  hasBackups: boolean;
}

/** Whose backups are meant. */
export interface BackupTarget {
  kind: 'backup' | 'restore_point' | ChainOwner['kind'];
  id: string;
}

/** A backup of a target. */
export interface BackupOfTarget {
  id: string;
  chainId: string;
  restorePointId: string;
  status: JobStatus;
}

/** The table in which a target must be, and the column of the backups that names it. */
const TARGETS: Record<BackupTarget['kind'], { what: string; table: string; key: string; column: string }> = {
  backup: { what: 'backup', table: 'backup_jobs', key: 'id', column: 'id' },
  restore_point: {
    what: 'restore point',
    table: 'restore_points',
    key: 'id',
    column: 'restore_point_id',
  },
  vm: { what: 'VM', table: 'vm_contexts', key: 'vm_context_id', column: 'vm_context_id' },
  repository: { what: 'repository', table: 'repositories', key: 'id', column: 'repository_id' },
};

/** A target in words. */
export function nameOfTarget({ kind, id }: BackupTarget): string {
  return `${TARGETS[kind].what} ${id}`;
}

async function assertThere(db: DataSource | EntityManager, target: BackupTarget): Promise<void> {
  const { table, key } = TARGETS[target.kind];
  const found = await db.query<unknown[]>(`SELECT 1 FROM ${table} WHERE ${key} = ?`, [target.id]);
  if (found.length === 0) throw new StrataError('not_found', `There is no ${nameOfTarget(target)}.`);
}

/** The backups of a target in whatever state, those that completed last at the end. @throws not_found */
export async function backupsOf(tx: EntityManager, target: BackupTarget): Promise<BackupOfTarget[]> {
  await assertThere(tx, target);
  return tx.query<BackupOfTarget[]>(
    `SELECT id, chain_id AS chainId, restore_point_id AS restorePointId, status FROM backup_jobs
     WHERE ${TARGETS[target.kind].column} = ? ORDER BY completed_at, id`,
    [target.id],
  );
}

/** Ids of the chains of a VM, in the one order in which chains are locked. */
export async function chainIdsOf(tx: EntityManager, vmContextId: string): Promise<string[]> {
  const rows = await tx.query<{ id: string }[]>(
    'SELECT id FROM backup_chains WHERE vm_context_id = ? ORDER BY id',
    [vmContextId],
  );
  return rows.map(({ id }) => id);
}

/**
 * The chains of a VM or a repository, those of retired disks included, in the order of their ids.
 * @throws not_found when there is no such VM or repository
 */
export async function chainsOf(ds: DataSource, owner: ChainOwner, limit: number): Promise<ChainOfTarget[]> {
  await asking(() => assertThere(ds, owner));
  const rows = await select<Omit<ChainOfTarget, 'hasBackups'> & { hasBackups: number }>(
    ds,
    `SELECT c.id AS chainId, c.vm_context_id AS vmContextId, v.vm_name AS vmName, c.disk_id AS diskId,
            EXISTS (SELECT 1 FROM backup_jobs b WHERE b.chain_id = c.id AND b.status = 'completed') AS hasBackups
     FROM backup_chains c JOIN vm_contexts v ON v.vm_context_id = c.vm_context_id WHERE v.${TARGETS[owner.kind].column} = ? ORDER BY c.id LIMIT ?`,
    [owner.id, limit],
  );
  return rows.map((row) => ({ ...row, hasBackups: Number(row.hasBackups) === 1 }));
}
