import type { EntityManager } from 'typeorm';
import type { DiskSource } from '../../shared/sources.js';
import { parseJson } from '../job/journal.js';

/** A disk of a VM as it is registered, with its chain. */
export interface RegisteredDisk {
  diskId: number;
  chainId: string;
  source: DiskSource | null;
  /** Bytes. */
  virtualSize: number | null;
  retired: boolean;
  /** It has no backup to build upon. */
  fresh: boolean;
  /** The VM has a restore point. */
  vmHasPoint: boolean;
  /** It was retired after the VM's last restore point. */
  newlyRetired: boolean;
}

interface Row {
  disk_id: number;
  chain_id: string;
  source: unknown;
  virtual_size: string | null;
  retired: number;
  fresh: number;
  known_vm: number;
  newly_retired: number | null;
}

/** The disks of a VM, retired ones included, in the order of their ids. */
export async function disksOf(tx: EntityManager, vmContextId: string): Promise<RegisteredDisk[]> {
  const rows = await tx.query<Row[]>(
    `SELECT d.disk_id, c.id AS chain_id, d.source, d.virtual_size, d.retired_at IS NOT NULL AS retired,
            c.latest_backup_id IS NULL AS fresh, v.last_point IS NOT NULL AS known_vm, d.retired_at >= v.last_point AS newly_retired
     FROM vm_disks d JOIN backup_chains c ON c.vm_context_id = d.vm_context_id AND c.disk_id = d.disk_id
     LEFT JOIN (SELECT created_at AS last_point FROM restore_points
                WHERE vm_context_id = ? AND status IN ('completed', 'completed_with_warnings')
                ORDER BY created_at DESC LIMIT 1) v ON TRUE
     WHERE d.vm_context_id = ? ORDER BY d.disk_id`,
    [vmContextId, vmContextId],
  );
  return rows.map((row) => ({
    diskId: row.disk_id,
    chainId: row.chain_id,
    source: parseJson<DiskSource | null>(row.source),
    virtualSize: row.virtual_size === null ? null : Number(row.virtual_size),
    retired: Number(row.retired) === 1,
    fresh: Number(row.fresh) === 1,
    vmHasPoint: Number(row.known_vm) === 1,
    newlyRetired: Number(row.newly_retired) === 1,
  }));
}

/** What a registration says of a disk. */
export interface DiskFacts {
  diskId: number;
  label?: string | undefined;
  /** Bytes. */
  virtualSize?: number | undefined;
  source?: DiskSource | undefined;
}

/**
 * Adds or updates a disk, and gives it a chain where it has none. What the facts leave out stays as it was; a retired disk is
 * one of the VM's again.
 * @param chainId the id of its chain, if it gets one
 */
export async function putDisk(
  tx: EntityManager,
  vmContextId: string,
  { diskId, label, virtualSize, source }: DiskFacts,
  chainId: string,
): Promise<void> {
  await tx.query(
    `INSERT INTO vm_disks (vm_context_id, disk_id, label, virtual_size, source) VALUES (?, ?, ?, ?, ?)
     ON DUPLICATE KEY UPDATE label = COALESCE(VALUES(label), label),
       size_changes = size_changes + COALESCE(VALUES(virtual_size) <> virtual_size, 0),
       virtual_size = COALESCE(VALUES(virtual_size), virtual_size),
       source = COALESCE(VALUES(source), source), retired_at = NULL`,
    [vmContextId, diskId, label ?? null, virtualSize ?? null, source ? JSON.stringify(source) : null],
  );
  await tx.query('INSERT IGNORE INTO backup_chains (id, vm_context_id, disk_id) VALUES (?, ?, ?)', [
    chainId,
    vmContextId,
    diskId,
  ]);
}

/** Ids of the disks of a VM that are not retired. */
export async function presentDisks(tx: EntityManager, vmContextId: string): Promise<number[]> {
  const rows = await tx.query<{ disk_id: number }[]>(
    'SELECT disk_id FROM vm_disks WHERE vm_context_id = ? AND retired_at IS NULL ORDER BY disk_id',
    [vmContextId],
  );
  return rows.map(({ disk_id }) => disk_id);
}

/** Retires the disks of a VM but for `kept`: a request that names no disks does not back them up. */
export async function retireDisks(
  tx: EntityManager,
  vmContextId: string,
  kept: readonly number[] = [],
): Promise<void> {
  await tx.query(
    `UPDATE vm_disks SET retired_at = UTC_TIMESTAMP(3)
     WHERE vm_context_id = ? AND retired_at IS NULL ${kept.length > 0 ? 'AND disk_id NOT IN (?)' : ''}`,
    kept.length > 0 ? [vmContextId, kept] : [vmContextId],
  );
}
