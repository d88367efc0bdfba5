import type { DataSource, EntityManager } from 'typeorm';
import {
  type Policy,
  PolicyRun,
  type PolicyRunStatus,
  type PolicyRunTrigger,
  PolicyRunVm,
} from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import type { EventType } from '../../shared/eventTypes.js';
import { newId } from '../../shared/ids.js';
import { recordEvents } from '../job/events.js';
import { affectedRows, asking, inTransaction } from '../transaction.js';
import { type PageOf, type PageRequest, pageById, select } from '../page.js';

export interface BegunRun {
  id: string;
  policyId: string;
  status: PolicyRunStatus;
}

export interface BeginOptions {
  /** The next time that the schedule names after an instant; called with the database's now. */
  next: (policy: Policy, after: Date) => Date | null;
  /** Milliseconds from the start of a run to that of a VM's backup. */
  delayOf: (policy: Policy, vmContextId: string) => number;
}

/** Later than this, a run catches up on what was missed while nobody was there. */
const LATE_MS = 60_000;

/**
 * Begins the runs of all policies that are due, each once however many times it was missed. Who begins is decided by the
 * policy's row: two keepers begin one run.
 */
export async function beginDueRuns(ds: DataSource, options: BeginOptions): Promise<BegunRun[]> {
  const due = await select<{ id: string }>(
    ds,
    'SELECT id FROM policies WHERE enabled = 1 AND next_run_at <= UTC_TIMESTAMP(3) ORDER BY next_run_at',
  );
  const begun: BegunRun[] = [];
  for (const { id } of due) {
    const run = await inTransaction(ds, (tx) => beginIfDue(tx, id, options));
    if (run) begun.push(run);
  }
  return begun;
}

async function beginIfDue(
  tx: EntityManager,
  policyId: string,
  options: BeginOptions,
): Promise<BegunRun | undefined> {
  const { policy, now } = await lock(tx, policyId);
  const { nextRunAt } = policy;
  if (!policy.enabled || nextRunAt === null || nextRunAt > now) return undefined;
  await tx.query('UPDATE policies SET next_run_at = ? WHERE id = ?', [options.next(policy, now), policyId]);
  const startedBy = now.getTime() - nextRunAt.getTime() > LATE_MS ? 'catch_up' : 'schedule';
  return begin(tx, policy, { startedBy, scheduledFor: nextRunAt, now, delayOf: options.delayOf });
}

/**
 * Begins a run on request, at once for all its VMs.
 * @throws not_found; wrong_state while another run of it goes on
 */
export async function beginRequestedRun(ds: DataSource, policyId: string): Promise<BegunRun> {
  return inTransaction(ds, async (tx) => {
    const { policy, now } = await lock(tx, policyId);
    if (await isRunning(tx, policyId))
      throw new StrataError('wrong_state', `A run of policy ${policy.name} still goes on.`);
    return begin(tx, policy, { startedBy: 'request', scheduledFor: null, now, delayOf: () => 0 });
  });
}

interface Beginning {
  startedBy: PolicyRunTrigger;
  scheduledFor: Date | null;
  now: Date;
  delayOf: BeginOptions['delayOf'];
}

async function begin(tx: EntityManager, policy: Policy, beginning: Beginning): Promise<BegunRun> {
  const { startedBy, scheduledFor, now, delayOf } = beginning;
  const id = newId('run', now);
  const members = await tx.query<{ vm_context_id: string }[]>(
    'SELECT vm_context_id FROM policy_members WHERE policy_id = ? ORDER BY vm_context_id',
    [policy.id],
  );
  const status: PolicyRunStatus =
    members.length === 0 ? 'empty' : (await isRunning(tx, policy.id)) ? 'skipped' : 'running';
  const endedAt = status === 'running' ? null : now;
  await tx.insert(PolicyRun, {
    id,
    policyId: policy.id,
    startedBy,
    status,
    scheduledFor,
    startedAt: now,
    endedAt,
  });
  if (status === 'running') {
    const rows = members.map(({ vm_context_id: vmContextId }) => ({
      runId: id,
      vmContextId,
      dueAt: new Date(now.getTime() + delayOf(policy, vmContextId)),
    }));
    await tx.insert(PolicyRunVm, rows);
  } else await recordEvents(tx, [{ type: `policy_run.${status}`, subjectId: id }]);
  return { id, policyId: policy.id, status };
}

async function lock(tx: EntityManager, policyId: string): Promise<{ policy: Policy; now: Date }> {
  const policy = await tx
    .createQueryBuilder<Policy>('Policy', 'p')
    .setLock('pessimistic_write')
    .where('p.id = :policyId', { policyId })
    .getOne();
  if (!policy) throw new StrataError('not_found', `There is no policy ${policyId}.`);
  const rows = await tx.query<{ now: Date }[]>('SELECT UTC_TIMESTAMP(3) AS now');
  return { policy, now: rows[0]?.now ?? policy.createdAt };
}

async function isRunning(tx: EntityManager, policyId: string): Promise<boolean> {
  const rows = await tx.query<unknown[]>(
    `SELECT 1 FROM policy_runs WHERE status = 'running' AND policy_id = ? LIMIT 1`,
    [policyId],
  );
  return rows.length > 0;
}

/** A VM whose turn in a run has come, with what its backup request says. */
export interface DueVm {
  runId: string;
  policyId: string;
  vmContextId: string;
  vmName: string;
  upstreamId: string;
  repositoryId: string;
  backupType: Policy['backupType'];
  fullEvery: number | null;
  fullAfterDays: number | null;
  verify: Policy['verify'];
}

export async function dueVms(ds: DataSource, limit: number): Promise<DueVm[]> {
  return select<DueVm>(
    ds,
    `SELECT m.run_id AS runId, r.policy_id AS policyId, m.vm_context_id AS vmContextId, v.vm_name AS vmName,
            v.upstream_id AS upstreamId, v.repository_id AS repositoryId, p.backup_type AS backupType,
            p.full_every AS fullEvery, p.full_after_days AS fullAfterDays, p.verify
     FROM policy_run_vms m JOIN policy_runs r ON r.id = m.run_id JOIN policies p ON p.id = r.policy_id
     JOIN vm_contexts v ON v.vm_context_id = m.vm_context_id
     WHERE r.status = 'running' AND m.restore_point_id IS NULL AND m.error_code IS NULL AND m.due_at <= UTC_TIMESTAMP(3)
     ORDER BY m.due_at, m.vm_context_id LIMIT ?`,
    [limit],
  );
}

export async function noteAccepted(ds: DataSource, vm: DueVm, restorePointId: string): Promise<void> {
  await select(ds, 'UPDATE policy_run_vms SET restore_point_id = ? WHERE run_id = ? AND vm_context_id = ?', [
    restorePointId,
    vm.runId,
    vm.vmContextId,
  ]);
}

export async function noteRefused(
  ds: DataSource,
  vm: DueVm,
  failure: { code: string; detail: string },
): Promise<void> {
  await select(
    ds,
    'UPDATE policy_run_vms SET error_code = ?, error_detail = ? WHERE run_id = ? AND vm_context_id = ?',
    [failure.code, failure.detail, vm.runId, vm.vmContextId],
  );
}

/** Ends the runs whose backups have all ended. @returns them, as they ended */
export async function endRuns(ds: DataSource): Promise<BegunRun[]> {
  const rows = await select<{ id: string; policyId: string; vms: string; bad: string; warned: string }>(
    ds,
    `SELECT r.id, r.policy_id AS policyId, COUNT(*) AS vms,
            SUM(m.error_code IS NOT NULL OR COALESCE(p.status IN ('failed', 'cancelled'), 0)) AS bad,
            SUM(COALESCE(p.status = 'completed_with_warnings', 0)) AS warned
     FROM policy_runs r JOIN policy_run_vms m ON m.run_id = r.id LEFT JOIN restore_points p ON p.id = m.restore_point_id
     WHERE r.status = 'running' GROUP BY r.id, r.policy_id
     HAVING SUM(m.error_code IS NULL AND (m.restore_point_id IS NULL OR COALESCE(p.status IN ('pending', 'running'), 0))) = 0`,
  );
  const ended: BegunRun[] = [];
  for (const { id, policyId, vms, bad, warned } of rows) {
    const status =
      Number(bad) === Number(vms)
        ? 'failed'
        : Number(bad) + Number(warned) > 0
          ? 'completed_with_warnings'
          : 'completed';
    const type: EventType = status === 'failed' ? 'policy_run.failed' : 'policy_run.completed';
    const won = await inTransaction(ds, async (tx) => {
      const result: unknown = await tx.query(
        `UPDATE policy_runs SET status = ?, ended_at = UTC_TIMESTAMP(3) WHERE id = ? AND status = 'running'`,
        [status, id],
      );
      if (affectedRows(result) !== 1) return false;
      await recordEvents(tx, [{ type, subjectId: id }]);
      await tx.query(
        'UPDATE policy_members SET retained_at = NULL WHERE vm_context_id IN (SELECT vm_context_id FROM policy_run_vms WHERE run_id = ?)',
        [id],
      );
      return true;
    });
    if (won) ended.push({ id, policyId, status });
  }
  return ended;
}

export interface RunWithVms {
  run: PolicyRun;
  vms: PolicyRunVm[];
}

/** @throws not_found */
export async function getRun(ds: DataSource, id: string): Promise<RunWithVms> {
  const run = await asking(() => ds.getRepository(PolicyRun).findOneBy({ id }));
  if (!run) throw new StrataError('not_found', `There is no run ${id}.`);
  const vms = await asking(() =>
    ds.getRepository(PolicyRunVm).find({ where: { runId: id }, order: { vmContextId: 'ASC' } }),
  );
  return { run, vms };
}

/** Runs of a policy, newest first by their ids, whose beginning is the time. */
export async function listRuns(
  ds: DataSource,
  policyId: string,
  page: PageRequest,
): Promise<PageOf<PolicyRun>> {
  const query = ds
    .getRepository(PolicyRun)
    .createQueryBuilder('r')
    .where('r.policyId = :policyId', { policyId });
  return pageById(query, 'r.id', page, (row) => row.id, 'DESC');
}
