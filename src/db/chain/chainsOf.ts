import type { DataSource } from 'typeorm';
import { StrataError } from '../../shared/errors.js';
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

const OWNERS: Record<ChainOwner['kind'], { table: string; key: string; what: string; where: string }> = {
  vm: { table: 'vm_contexts', key: 'vm_context_id', what: 'VM', where: 'c.vm_context_id = ?' },
  repository: { table: 'repositories', key: 'id', what: 'repository', where: 'v.repository_id = ?' },
};

/**
 * The chains of a VM or a repository, those of retired disks included, in the order of their ids.
 * @throws not_found when there is no such VM or repository
 */
export async function chainsOf(ds: DataSource, owner: ChainOwner, limit: number): Promise<ChainOfTarget[]> {
  const { table, key, what, where } = OWNERS[owner.kind];
  const found = await select(ds, `SELECT 1 FROM ${table} WHERE ${key} = ?`, [owner.id]);
  if (found.length === 0) throw new StrataError('not_found', `There is no ${what} ${owner.id}.`);
  const rows = await select<Omit<ChainOfTarget, 'hasBackups'> & { hasBackups: number }>(
    ds,
    `SELECT c.id AS chainId, c.vm_context_id AS vmContextId, v.vm_name AS vmName, c.disk_id AS diskId,
            EXISTS (SELECT 1 FROM backup_jobs b WHERE b.chain_id = c.id AND b.status = 'completed') AS hasBackups
     FROM backup_chains c JOIN vm_contexts v ON v.vm_context_id = c.vm_context_id WHERE ${where} ORDER BY c.id LIMIT ?`,
    [owner.id, limit],
  );
  return rows.map((row) => ({ ...row, hasBackups: Number(row.hasBackups) === 1 }));
}
