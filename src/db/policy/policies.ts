import type { DataSource, EntityManager } from 'typeorm';
import {
  type KeepColumn,
  Policy,
  PolicyMember,
  type RequestedType,
  type VerifyBackup,
} from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import type { EventType } from '../../shared/eventTypes.js';
import { newId } from '../../shared/ids.js';
import { checkSimpleName } from '../../shared/names.js';
import { recordEvents } from '../job/events.js';
import { asDatabaseError, asking, inTransaction, isDuplicate } from '../transaction.js';
import { type PageOf, type PageRequest, pageById, select } from '../page.js';

/** What a policy says; `next_run_at` follows from its schedule. */
export interface PolicyFacts {
  name: string;
  enabled: boolean;
  schedule: string | null;
  timeZone: string;
  jitterSeconds: number;
  backupType: RequestedType;
  fullEvery: number | null;
  fullAfterDays: number | null;
  verify: VerifyBackup | null;
  keep: KeepColumn | null;
  nextRunAt: Date | null;
}

export interface PolicyWithVms {
  policy: Policy;
  /** Ids of VM contexts, sorted. */
  vms: string[];
}

/** @throws name_taken; not_found, wrong_state for a VM that does not exist or has a policy */
export async function createPolicy(
  ds: DataSource,
  facts: PolicyFacts,
  vms: readonly string[],
  now: Date,
): Promise<PolicyWithVms> {
  checkSimpleName(facts.name, 'name');
  const id = newId('pol', now);
  await named(facts.name, () =>
    inTransaction(ds, async (tx) => {
      await tx.insert(Policy, { id, ...facts, createdAt: () => 'UTC_TIMESTAMP(3)' });
      await setMembers(tx, id, vms);
    }),
  );
  return getPolicy(ds, id);
}

/** @throws as createPolicy */
export async function changePolicy(
  ds: DataSource,
  id: string,
  change: Partial<PolicyFacts>,
  vms: readonly string[] | undefined,
): Promise<PolicyWithVms> {
  if (change.name !== undefined) checkSimpleName(change.name, 'name');
  await named(change.name ?? '', () =>
    inTransaction(ds, async (tx) => {
      await lockPolicy(tx, id);
      if (Object.keys(change).length > 0) await tx.update(Policy, { id }, change);
      if (vms) await setMembers(tx, id, vms);
    }),
  );
  return getPolicy(ds, id);
}

/** @throws not_found */
export async function getPolicy(ds: DataSource, id: string): Promise<PolicyWithVms> {
  const policy = await asking(() => ds.getRepository(Policy).findOneBy({ id }));
  const [found] = policy ? await withVms(ds, [policy]) : [];
  if (!found) throw new StrataError('not_found', `There is no policy ${id}.`);
  return found;
}

/** Policies in the order of their ids. */
export async function listPolicies(ds: DataSource, page: PageRequest): Promise<PageOf<PolicyWithVms>> {
  const query = ds.getRepository(Policy).createQueryBuilder('p');
  const { rows, next } = await pageById(query, 'p.id', page, (row) => row.id);
  return { rows: await withVms(ds, rows), next };
}

/** All enabled policies with a schedule, for BullMQ's schedulers. */
export async function scheduledPolicies(
  ds: DataSource,
): Promise<{ id: string; schedule: string; timeZone: string }[]> {
  return select(
    ds,
    `SELECT id, schedule, time_zone AS timeZone FROM policies WHERE enabled = 1 AND schedule IS NOT NULL`,
  );
}

/**
 * Removes a policy with the history of its runs. What it has made stays.
 * @throws not_found
 */
export async function deletePolicy(ds: DataSource, id: string): Promise<void> {
  await inTransaction(ds, async (tx) => {
    await lockPolicy(tx, id);
    await tx.query(
      'DELETE v FROM policy_run_vms v JOIN policy_runs r ON r.id = v.run_id WHERE r.policy_id = ?',
      [id],
    );
    await tx.query('DELETE FROM policy_runs WHERE policy_id = ?', [id]);
    await tx.delete(PolicyMember, { policyId: id });
    await tx.delete(Policy, { id });
  });
}

/** Notifies the webhooks of something about a policy, unless the same event is still kept. */
export async function tellOfPolicy(ds: DataSource, id: string, type: EventType): Promise<void> {
  await inTransaction(ds, async (tx) => {
    const told = await tx.query<unknown[]>(
      'SELECT 1 FROM outbox_events WHERE type = ? AND subject_id = ? LIMIT 1',
      [type, id],
    );
    if (told.length === 0) await recordEvents(tx, [{ type, subjectId: id }]);
  });
}

async function lockPolicy(tx: EntityManager, id: string): Promise<void> {
  const rows = await tx.query<unknown[]>('SELECT id FROM policies WHERE id = ? FOR UPDATE', [id]);
  if (rows.length === 0) throw new StrataError('not_found', `There is no policy ${id}.`);
}

async function setMembers(tx: EntityManager, policyId: string, vms: readonly string[]): Promise<void> {
  await tx.delete(PolicyMember, { policyId });
  for (const vmContextId of [...new Set(vms)].sort()) await addMember(tx, policyId, vmContextId);
}

async function addMember(tx: EntityManager, policyId: string, vmContextId: string): Promise<void> {
  const found = await tx.query<unknown[]>('SELECT 1 FROM vm_contexts WHERE vm_context_id = ?', [vmContextId]);
  if (found.length === 0)
    throw new StrataError('not_found', `There is no VM ${vmContextId}.`, { field: 'vms' });
  try {
    await tx.insert(PolicyMember, { policyId, vmContextId });
  } catch (error) {
    if (!isDuplicate(error, 'PRIMARY')) throw error;
    throw new StrataError('wrong_state', `VM ${vmContextId} has another policy already.`, {
      field: 'vms',
      cause: error,
    });
  }
}

async function withVms(ds: DataSource, policies: readonly Policy[]): Promise<PolicyWithVms[]> {
  if (policies.length === 0) return [];
  const members = await select<{ policy_id: string; vm_context_id: string }>(
    ds,
    `SELECT policy_id, vm_context_id FROM policy_members WHERE policy_id IN (${policies.map(() => '?').join(', ')})
     ORDER BY vm_context_id`,
    policies.map(({ id }) => id),
  );
  return policies.map((policy) => ({
    policy,
    vms: members.filter((row) => row.policy_id === policy.id).map((row) => row.vm_context_id),
  }));
}

async function named<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isDuplicate((error as Error).cause, 'uq_policies_name')) throw asDatabaseError(error);
    throw new StrataError('name_taken', `There is a policy ${name} already.`, {
      field: 'name',
      cause: error,
    });
  }
}
