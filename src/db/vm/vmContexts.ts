import { StrataError } from '../../shared/errors.js';
import { recordEvents } from '../job/events.js';
import { affectedRows, asking } from '../transaction.js';
import { VmContext } from '../../entities/index.js';
import type { DataSource, EntityManager } from '../database.js';

/** How an upstream names a VM. */
export interface NamedVm {
  repositoryId: string;
  vmName: string;
  /** Empty where the upstream gives none. */
  upstreamId: string;
}

export interface LocatedContext {
  vmContextId: string;
  /** What it is called in the catalogue, where that is another name: the VM has been renamed. */
  formerName?: string;
}

/**
 * The context of a VM, by its name and its upstream's id. Where there is none, a VM with backups that has the id alone in its
 * repository is the same VM under another name: its chain goes on.
 *
 * An id that stands for more than one VM would mix their chains, and so it is no proof of a renaming where several VMs have
 * it, or where a VM comes back under its former name after a backup under the new one.
 */
export async function locateContext(
  db: Pick<DataSource | EntityManager, 'query'>,
  { repositoryId, vmName, upstreamId }: NamedVm,
): Promise<LocatedContext | undefined> {
  const exact = await db.query<{ vm_context_id: string }[]>(
    'SELECT vm_context_id FROM vm_contexts WHERE repository_id = ? AND vm_name = ? AND upstream_id = ?',
    [repositoryId, vmName, upstreamId],
  );
  if (exact[0]) return { vmContextId: exact[0].vm_context_id };
  if (upstreamId === '') return undefined;
  const [same, another] = await db.query<
    { vm_context_id: string; vm_name: string; backed_up: number; came_back: number }[]
  >(
    `SELECT v.vm_context_id, v.vm_name,
            EXISTS (SELECT 1 FROM backup_jobs b WHERE b.vm_context_id = v.vm_context_id AND b.status = 'completed') AS backed_up,
            COALESCE(v.previous_name = ?, 0) AND EXISTS (SELECT 1 FROM backup_jobs b
              WHERE b.vm_context_id = v.vm_context_id AND b.created_at >= v.renamed_at) AS came_back
     FROM vm_contexts v WHERE v.repository_id = ? AND v.upstream_id = ? LIMIT 2`,
    [vmName, repositoryId, upstreamId],
  );
  if (!same || another || Number(same.backed_up) !== 1 || Number(same.came_back) === 1) return undefined;
  return { vmContextId: same.vm_context_id, formerName: same.vm_name };
}

/**
 * Writes a new context, unless somebody else has just done so.
 * @returns the id of the context that is there now
 */
export async function addContext(
  tx: EntityManager,
  { vmContextId, ...vm }: NamedVm & { vmContextId: string },
  createdAt: Date,
): Promise<string> {
  await tx.query(
    `INSERT IGNORE INTO vm_contexts (vm_context_id, vm_name, upstream_id, repository_id, created_at) VALUES (?, ?, ?, ?, ?)`,
    [vmContextId, vm.vmName, vm.upstreamId, vm.repositoryId, createdAt],
  );
  const written = await locateContext(tx, vm);
  if (!written) throw new StrataError('internal', `The context of ${vm.vmName} was not written.`);
  return written.vmContextId;
}

/** Calls a VM by its new name, unless somebody else has just done so, and notifies the webhooks. */
export async function renameContext(
  tx: EntityManager,
  { vmContextId, formerName }: LocatedContext,
  vmName: string,
): Promise<boolean> {
  const result: unknown = await tx.query(
    `UPDATE vm_contexts SET previous_name = vm_name, vm_name = ?, renamed_at = UTC_TIMESTAMP(3)
     WHERE vm_context_id = ? AND vm_name = ?`,
    [vmName, vmContextId, formerName],
  );
  if (affectedRows(result) !== 1) return false;
  await recordEvents(tx, [{ type: 'vm.renamed', subjectId: vmContextId }]);
  return true;
}

/** @returns null where there is no such VM @throws database_unavailable */
export async function findContext(ds: DataSource, vmContextId: string): Promise<VmContext | null> {
  return asking(() => ds.getRepository(VmContext).findOneBy({ vmContextId }));
}
