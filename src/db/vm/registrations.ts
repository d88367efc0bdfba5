import { JOB_KINDS } from '../../shared/jobs.js';
import type { DataSource, EntityManager } from 'typeorm';
import { StrataError } from '../../shared/errors.js';
import { JOB_TABLES, OPEN } from '../job/kinds.js';
import { IS_LAYER } from '../chain/layers.js';
import { inTransaction, isStillReferenced } from '../transaction.js';

/**
 * Forgets a VM, its disks, and the history of their jobs: a name that was misspelt must not stay for ever.
 * @throws not_found
 * @throws vm_in_use while a restore point, a file that others stand on, an open job or a policy is left
 */
export async function deleteVm(ds: DataSource, vmContextId: string): Promise<void> {
  await inTransaction(ds, async (tx) => {
    const rows = await tx.query<{ vm_name: string }[]>(
      'SELECT vm_name FROM vm_contexts WHERE vm_context_id = ? FOR UPDATE',
      [vmContextId],
    );
    const [vm] = rows;
    if (!vm) throw new StrataError('not_found', `There is no VM ${vmContextId}.`);
    const holder = await whatKeeps(tx, vmContextId);
    if (holder) throw new StrataError('vm_in_use', `VM ${vm.vm_name} ${holder}`);
    try {
      await deleteRegistrations(tx, 'vm_context_id = ?', vmContextId);
    } catch (error) {
      // A backup that was accepted since the look above.
      if (!isStillReferenced(error)) throw error;
      throw new StrataError('vm_in_use', `VM ${vm.vm_name} is being backed up: wait for the end.`, {
        cause: error,
      });
    }
  });
}

/** Why a VM cannot be forgotten, with the remedy. */
async function whatKeeps(tx: EntityManager, id: string): Promise<string | undefined> {
  const [policy] = await tx.query<{ name: string }[]>(
    'SELECT p.name FROM policy_members m JOIN policies p ON p.id = m.policy_id WHERE m.vm_context_id = ?',
    [id],
  );
  if (policy) {
    return `belongs to the policy ${policy.name}: take it out (PATCH /policies/{id}), or remove the policy (strata policy remove).`;
  }
  const open = JOB_KINDS.map(
    (kind) =>
      `SELECT j.id FROM ${JOB_TABLES[kind]} j JOIN backup_chains c ON c.id = j.chain_id
       WHERE c.vm_context_id = ? AND j.status IN ${OPEN}`,
  );
  const [job] = await tx.query<{ id: string }[]>(
    `${open.join(' UNION ALL ')} LIMIT 1`,
    JOB_KINDS.map(() => id),
  );
  if (job) return `has the open job ${job.id}: wait for its end, or cancel it (strata cancel ${job.id}).`;
  const [count] = await tx.query<{ points: string; layers: string }[]>(
    `SELECT COUNT(DISTINCT IF(status = 'completed', restore_point_id, NULL)) AS points, COUNT(*) AS layers
     FROM backup_jobs WHERE vm_context_id = ? AND ${IS_LAYER}`,
    [id],
  );
  if (Number(count?.layers) === 0) return undefined;
  return `has ${count?.points} restore points: remove them first (strata delete VM --all-of-vm, or DELETE /vms/{id}/backups).`;
}

/**
 * Removes VMs with their disks, chains and the history of their jobs. What has a file, or is going to have one, must be
 * gone: the foreign keys refuse it.
 * @param which VMs: a condition on `vm_contexts` with one value
 */
export async function deleteRegistrations(tx: EntityManager, which: string, value: string): Promise<void> {
  const vms = await tx.query<{ id: string }[]>(`SELECT vm_context_id AS id FROM vm_contexts WHERE ${which}`, [
    value,
  ]);
  if (vms.length === 0) return;
  const ids = vms.map(({ id }) => id);
  await deleteHistory(tx, ids);
  for (const table of ['backup_chains', 'restore_points', 'vm_disks', 'vm_contexts']) {
    await tx.query(`DELETE FROM ${table} WHERE vm_context_id IN (?)`, [ids]);
  }
}

/** Jobs that have ended and backups that have gone; a parent is never deleted before what names it. */
async function deleteHistory(tx: EntityManager, vmContextIds: readonly string[]): Promise<void> {
  const ofVms = 'chain_id IN (SELECT id FROM backup_chains WHERE vm_context_id IN (?))';
  for (const kind of JOB_KINDS) {
    await tx.query(
      `DELETE s FROM job_steps s JOIN ${JOB_TABLES[kind]} j ON j.id = s.job_id WHERE j.${ofVms}`,
      [vmContextIds],
    );
  }
  for (const kind of JOB_KINDS.filter((each) => each !== 'backup')) {
    await tx.query(`DELETE FROM ${JOB_TABLES[kind]} WHERE ${ofVms} AND status NOT IN ${OPEN}`, [
      vmContextIds,
    ]);
  }
  const gone = `${ofVms} AND status IN ('failed', 'cancelled', 'expired')`;
  await tx.query(`UPDATE backup_jobs SET parent_backup_id = NULL WHERE ${gone}`, [vmContextIds]);
  await tx.query(`DELETE FROM backup_jobs WHERE ${gone}`, [vmContextIds]);
}
