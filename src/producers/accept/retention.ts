import { isMergeOpen } from '../../db/job/maintenance.js';
import { type BackupOfTarget, backupsOf, chainIdsOf } from '../../db/chain/targets.js';
import type { Delivery } from '../../shared/jobs.js';
import type { EntityManager } from '../../db/database.js';
import { lockChain } from '../../db/job/position.js';
import { stepAside } from '../../db/job/stepAside.js';
import { loadLayers } from '../../services/chain/index.js';
import { planRemoval, type Refusal } from '../../services/consolidation/index.js';
import { addMaintenance } from './addMaintenance.js';
import type { AcceptDeps } from './deps.js';
import { acceptOnce } from './once.js';

export interface RetentionAnswer {
  /** Restore points that go. */
  removed: string[];
  /** Restore points that the policy would remove and that stay for now, with the reason of one of their backups. */
  held: { restorePointId: string; backupId: string; reason: Refusal['reason'] }[];
  /** Jobs, one a chain. */
  jobs: string[];
}

/**
 * Accepts what a policy removes from a VM: one job a chain, all in one transaction. A restore point goes for all of its
 * disks or for none: where one of its backups has to stay (something stands on it, it is being restored), the point stays.
 * Chains on which a consolidation is still to run are left to the next time.
 */
export async function acceptRetention(
  deps: AcceptDeps,
  vmContextId: string,
  points: readonly string[],
): Promise<RetentionAnswer> {
  return acceptOnce(deps, undefined, async (tx) => {
    const deliveries: Delivery[] = [];
    const answer: RetentionAnswer = { removed: [], held: [], jobs: [] };
    const chains = await lockChains(tx, vmContextId);
    if (chains.length === 0 || points.length === 0) return { answer, deliveries };
    const wanted = new Set(points);
    const backups = await backupsOf(tx, { kind: 'vm', id: vmContextId });
    const { remove, held } = await wholePoints(
      tx,
      backups.filter(({ status, restorePointId }) => status === 'completed' && wanted.has(restorePointId)),
    );
    for (const chainId of chains) {
      const mine = remove.filter((layer) => layer.chainId === chainId).map(({ id }) => id);
      if (mine.length === 0) continue;
      const job = { chainId, type: 'consolidate', params: { remove: mine, by_policy: true } } as const;
      const place = await stepAside(tx, chainId);
      answer.jobs.push((await addMaintenance(tx, deps, job, deliveries, place)).job_id);
    }
    answer.removed = [...new Set(remove.map(({ restorePointId }) => restorePointId))];
    answer.held = held;
    return { answer, deliveries };
  });
}

/** The VM's chains in the one order in which chains are locked; none while one of them is to be consolidated anyway. */
async function lockChains(tx: EntityManager, vmContextId: string): Promise<string[]> {
  const ids = await chainIdsOf(tx, vmContextId);
  for (const id of ids) await lockChain(tx, id);
  return (await isMergeOpen(tx, ids)) ? [] : ids;
}

/** Takes out the points of which a backup has to stay, until what is left can go whole; each round leaves fewer. */
async function wholePoints(
  tx: EntityManager,
  wanted: readonly BackupOfTarget[],
): Promise<{ remove: BackupOfTarget[]; held: RetentionAnswer['held'] }> {
  const held: RetentionAnswer['held'] = [];
  let remove = [...wanted];
  for (;;) {
    const refused = new Map<string, Refusal['reason']>();
    for (const chainId of new Set(remove.map((layer) => layer.chainId))) {
      const ids = remove.filter((layer) => layer.chainId === chainId).map(({ id }) => id);
      const plan = planRemoval(await loadLayers(tx, chainId), ids);
      for (const { backup_id, reason } of plan.refused) refused.set(backup_id, reason);
    }
    const stopped = remove.filter(({ id }) => refused.has(id));
    if (stopped.length === 0) return { remove, held };
    for (const { id, restorePointId } of stopped) {
      if (held.some((each) => each.restorePointId === restorePointId)) continue;
      held.push({
        restorePointId,
        backupId: id,
        reason: refused.get(id) ?? 'in_use',
      });
    }
    remove = remove.filter(
      (layer) => !stopped.some(({ restorePointId }) => restorePointId === layer.restorePointId),
    );
  }
}
