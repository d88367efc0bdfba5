import type { DataSource, EntityManager } from '../../db/database.js';
import { addPointNote, doubtBefore, TRACKER_LIED } from '../../db/chain/doubt.js';
import {
  addRebuiltBackups,
  addRebuiltPlace,
  addRebuiltPoint,
  writeRebuiltHead,
} from '../../db/chain/rebuilt.js';
import { SOURCE_CORRUPT, SOURCE_SHARED } from '../../entities/index.js';
import { lockChain } from '../../db/job/position.js';
import { settleRestorePointOf } from '../../db/chain/settlePoint.js';
import { inTransaction } from '../../db/transaction.js';
import { headOf, worst } from '../chain/index.js';
import { loadExisting } from './existing.js';
import type { ExistingDisk, FoundDisk } from './facts.js';
import { type DiskPlan, isLink, planDisk, type RebuiltBackup } from './plan.js';

/**
 * The fence of a rebuilt chain is this far above every fence that its files show. Leases of validations and of failed
 * attempts leave no file, so a worker from before the loss may hold a higher fence than any manifest: its temporary
 * names and its fence must never be given out again.
 */
export const FENCE_MARGIN = 1_000_000;

/**
 * Writes the rows of one disk in one transaction; what the catalogue has by then is looked at again under the chain's
 * lock, and left as it is. Rows in other chains that a unique key protects make the whole disk fail.
 */
export async function insertDisk(options: {
  ds: DataSource;
  repositoryId: string;
  found: FoundDisk;
  /** Disks that each restore point lacks, by its id. */
  missing: ReadonlyMap<string, number>;
  /** Until when backups are protected, by their ids. */
  held: ReadonlyMap<string, Date>;
  /** Writes down, with the rows, how many there are. */
  note: ((tx: EntityManager, chainId: string, inserted: number) => Promise<void>) | undefined;
}): Promise<DiskPlan> {
  const { ds, repositoryId, found, missing, held, note } = options;
  return inTransaction(ds, async (tx) => {
    const before = planDisk(found, await loadExisting(tx, repositoryId, found));
    const { chainId } = before;
    if (chainId === undefined || before.insert.length === 0) return before;
    await insertPlace(tx, repositoryId, found, chainId);
    const chain = await lockChain(tx, chainId);
    const existing = await loadExisting(tx, repositoryId, found);
    const plan = planDisk(found, existing);
    if (plan.insert.length === 0) return plan;
    await insertPoints(tx, plan.insert, existing, missing);
    await addRebuiltBackups(
      tx,
      plan.insert.map((backup) => toRow(backup, held.get(backup.manifest.backup_id))),
    );
    await doubtAgain(tx, chainId, plan.insert);
    await noteSources(tx, plan.insert);
    await settleKnownPoints(tx, plan.insert, existing);
    await advanceChain(tx, chain, found, existing, plan.insert);
    await note?.(tx, chainId, plan.insert.length);
    return plan;
  });
}

/** VM, disk and chain, as far as they are not there. */
async function insertPlace(
  tx: EntityManager,
  repositoryId: string,
  { vmContextId, diskId, backups }: FoundDisk,
  chainId: string,
): Promise<void> {
  const first = backups[0]?.manifest;
  const last = backups.at(-1)?.manifest;
  if (!first || !last) return;
  await addRebuiltPlace(tx, {
    repositoryId,
    vmContextId,
    vmName: last.vm_name,
    upstreamId: last.upstream_id,
    diskId,
    virtualSize: last.virtual_size,
    chainId,
    createdAt: new Date(first.created_at),
  });
}

async function insertPoints(
  tx: EntityManager,
  backups: readonly RebuiltBackup[],
  existing: ExistingDisk,
  missing: ReadonlyMap<string, number>,
): Promise<void> {
  for (const { manifest } of backups) {
    if (existing.points.has(manifest.restore_point_id)) continue;
    await addRebuiltPoint(tx, {
      id: manifest.restore_point_id,
      vmContextId: manifest.vm_context_id,
      repositoryId: manifest.repository_id,
      type: manifest.requested_type,
      missingDisks: missing.get(manifest.restore_point_id) ?? 0,
      createdAt: new Date(manifest.created_at),
      completedAt: new Date(manifest.file_mtime_ms),
    });
  }
}

/** Which backups rely on a tracker that was caught lying later is in no manifest, but follows from them. */
async function doubtAgain(
  tx: EntityManager,
  chainId: string,
  backups: readonly RebuiltBackup[],
): Promise<void> {
  for (const { manifest } of backups) {
    if (manifest.demoted_reason !== TRACKER_LIED) continue;
    await doubtBefore(tx, chainId, manifest.backup_id);
    await addPointNote(tx, [manifest.backup_id], TRACKER_LIED);
    await settleRestorePointOf(tx, manifest.backup_id);
  }
}

/** What the manifests say against backups, and their restore points with them. */
async function noteSources(tx: EntityManager, backups: readonly RebuiltBackup[]): Promise<void> {
  for (const { manifest } of backups) {
    if (manifest.source_shared) await addPointNote(tx, [manifest.backup_id], SOURCE_SHARED);
    if (manifest.source_corrupt) await addPointNote(tx, [manifest.backup_id], SOURCE_CORRUPT);
    if (manifest.source_shared || manifest.source_corrupt) await settleRestorePointOf(tx, manifest.backup_id);
  }
}

/** A restore point that the catalogue had, or of which a backup has expired: its state follows from its backups. */
async function settleKnownPoints(
  tx: EntityManager,
  backups: readonly RebuiltBackup[],
  existing: ExistingDisk,
): Promise<void> {
  for (const { manifest } of backups) {
    const known = existing.points.has(manifest.restore_point_id);
    if (known || manifest.expired_at !== undefined) await settleRestorePointOf(tx, manifest.backup_id);
  }
}

function toRow({ manifest, path, health }: RebuiltBackup, heldUntil: Date | undefined) {
  return {
    id: manifest.backup_id,
    chainId: manifest.chain_id,
    seq: manifest.seq,
    status: manifest.expired_at === undefined ? ('completed' as const) : ('expired' as const),
    expiredAt: manifest.expired_at === undefined ? null : new Date(manifest.expired_at),
    fence: manifest.fence,
    createdAt: new Date(manifest.created_at),
    completedAt: new Date(manifest.file_mtime_ms),
    restorePointId: manifest.restore_point_id,
    vmContextId: manifest.vm_context_id,
    diskId: manifest.disk_id,
    repositoryId: manifest.repository_id,
    requestedType: manifest.requested_type,
    backupType: manifest.backup_type,
    demotedReason: manifest.demoted_reason,
    parentBackupId: manifest.parent_backup_id,
    successorOf: isLink(manifest) ? manifest.parent_backup_id : null,
    changeId: manifest.change_id,
    tracker: manifest.tracker ?? null,
    // Where the bytes came from is not in a manifest; nothing reads this of a completed backup.
    request: { source: { type: 'push' as const }, on_broken_chain: 'full' as const, has_extents: false },
    repositoryPath: path,
    virtualSize: manifest.virtual_size,
    sizeBytes: manifest.size_bytes,
    bytesTransferred: manifest.bytes_transferred,
    contentId: manifest.content_id,
    protectedUntil: heldUntil ?? null,
    health,
  };
}

/** The chain's latest is the completed backup with the highest place; its full is the one that it stands on. */
async function advanceChain(
  tx: EntityManager,
  chain: { id: string; fence: string; committed: string },
  found: FoundDisk,
  existing: ExistingDisk,
  inserted: readonly RebuiltBackup[],
): Promise<void> {
  const links = [
    ...existing.rows.filter((row) => row.chainId === chain.id && !row.removed && row.path !== null),
    ...inserted.map(({ manifest, health }) => ({
      id: manifest.backup_id,
      seq: manifest.seq,
      status: manifest.expired_at === undefined ? 'completed' : 'expired',
      parentBackupId: manifest.parent_backup_id,
      sizeBytes: manifest.size_bytes,
      health,
    })),
  ].sort((a, b) => a.seq - b.seq);
  const { latest, full, points, bytes } = headOf(
    links.map(({ parentBackupId, status, ...link }) => ({
      ...link,
      parentId: parentBackupId,
      expired: status !== 'completed',
    })),
  );
  const completed = links.filter(({ status }) => status === 'completed');
  const fullSeq = links.find(({ id }) => id === full)?.seq ?? 0;
  await writeRebuiltHead(tx, chain.id, {
    latestBackupId: latest,
    fullBackupId: full,
    points,
    sinceFull: completed.filter(({ seq }) => seq > fullSeq).length,
    bytes,
    lastSeq: links.at(-1)?.seq ?? 0,
    fence: Math.max(Number(chain.fence), found.highestFence) + FENCE_MARGIN,
    health: worst(completed.map(({ health }) => health)),
    mergingBackupId: inserted.find(({ halfSwitched }) => halfSwitched)?.manifest.backup_id ?? null,
  });
}
