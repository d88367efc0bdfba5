import { readProofs } from '../../db/chain/layerProofs.js';
import { chainIdOf, type NextFacts, nextFacts } from '../../db/chain/next.js';
import type { DataSource, EntityManager } from '../../db/database.js';
import { asking } from '../../db/transaction.js';
import { locateContext, type NamedVm } from '../../db/vm/vmContexts.js';
import type { BackupType } from '../../entities/index.js';
import { type DiskSource, isRead } from '../../shared/sources.js';
import { healthOf, isLocated } from './health.js';
import { knownDamage } from './knownDamage.js';
import { type Layer, loadLayers } from './layer.js';
import { type Footing, footingOf, type NextBackup, planNext } from './next.js';
import type { BackupPlan } from './plan.js';
import { planHealing } from './planHealing.js';

/** A request for a backup whose source nobody has opened yet. */
export interface ForeseenBackup extends Omit<NextBackup, 'chain' | 'createdAt'> {
  /** Gives the instant of the data. */
  restorePointId: string;
  /** Bytes; null where the request does not state it. */
  virtualSize: number | null;
}

/**
 * The plan that the worker will carry out if nothing happens to the chain until then: made from the same layers by the same
 * function. What only the worker can know is taken to be well: the source offers its bitmap, the disk has the size that is
 * stated or that of the backup below, and what the worker sees to before it plans is as `foreseen` says.
 * @throws as planBackup, where the request forbids what will come
 */
export async function foreseeBackup(
  tx: EntityManager,
  chainId: string,
  { restorePointId, virtualSize, ...next }: ForeseenBackup,
): Promise<BackupPlan> {
  const facts = await nextFacts(tx, chainId, restorePointId);
  const footing = await foreseen(tx, facts, next.request.source);
  const createdAt = facts.instant;
  const below = next.requestedType === 'differential' ? footing.segmentFull : footing.lineage[0];
  const size = virtualSize ?? below?.virtualSize ?? 0;
  const disk = {
    virtualSize: size,
    sizeChanges: facts.sizeChanges + (isAnotherSize(facts, size) ? 1 : 0),
    bitmapMissing: false,
  };
  return planNext({ ...next, createdAt, chain: facts }, footing, disk);
}

/** The worker will see the disk with another size than it had when it was last seen. */
function isAnotherSize({ seenSize }: NextFacts, size: number): boolean {
  return seenSize !== null && seenSize !== size;
}

/**
 * What a backup will stand on if what the worker sees to before it plans comes out well: files that are suspected as a whole
 * are looked at again, and located damage is healed from the disk, all of it or none. A pushed disk cannot be read, so nothing
 * is healed from it. Everything else is certain by the catalogue.
 */
async function foreseen(
  db: DataSource | EntityManager,
  { chainId, latestBackupId, fullBackupId }: NextFacts,
  source: DiskSource | null,
): Promise<Footing> {
  const head = { latestBackupId, fullBackupId };
  const layers = (await loadLayers(db, chainId)).map(lookedAtAgain);
  const footing = footingOf(layers, head);
  if ((source && !isRead(source)) || !footing.lineage.some(isLocated)) return footing;
  const proofs = await readProofs(db, chainId);
  const canHeal = planHealing(footing.lineage, (id) => knownDamage(proofs.get(id))) !== undefined;
  return canHeal ? footingOf(layers.map(healed), head) : footing;
}

function lookedAtAgain(layer: Layer): Layer {
  return healthOf(layer) === 'suspect' && !isLocated(layer) ? { ...layer, health: 'ok' } : layer;
}

function healed(layer: Layer): Layer {
  return isLocated(layer) ? { ...layer, health: 'ok', damageLocated: false } : layer;
}

export interface LatestChangeId {
  changeId: string;
  backupId: string;
}

/**
 * The change id of the backup that the next one of a disk will stand on: the chain's latest, or the segment's full for a
 * differential. Undefined where the next one will be a full, whatever change list comes with it (invariant 5).
 */
export async function changeIdBelow(
  ds: DataSource,
  disk: NamedVm & { diskId: number },
  type: Exclude<BackupType, 'full'>,
): Promise<LatestChangeId | undefined> {
  // By the same rule as the backup that is asked for next: a VM that was renamed goes on.
  const context = await asking(() => locateContext(ds, disk));
  const chainId = context && (await chainIdOf(ds, { ...context, diskId: disk.diskId }));
  if (chainId === undefined) return undefined;
  const facts = await nextFacts(ds, chainId, null);
  const footing = await foreseen(ds, facts, facts.source);
  const below = type === 'differential' ? footing.segmentFull : footing.lineage[0];
  if (!below || below.changeId === null) return undefined;
  const plan = planNext(
    {
      requestedType: type,
      request: { on_broken_chain: 'full', has_extents: true, source: { type: 'nbd', uri: '' } },
      sinceChangeId: below.changeId,
      createdAt: facts.instant,
      chain: facts,
    },
    footing,
    { virtualSize: below.virtualSize, bitmapMissing: false, sizeChanges: below.sizeChanges },
  );
  return plan.parent === null ? undefined : { changeId: below.changeId, backupId: plan.parent.id };
}
