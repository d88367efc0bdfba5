import type { BackupCreate } from '../../contract/index.js';
import type { EntityManager } from '../../db/database.js';
import { addExtentsPart } from '../../db/job/awaitExtents.js';
import { type Position, takePosition } from '../../db/job/position.js';
import type { BackupRequest } from '../../entities/index.js';
import type { ChosenDisk } from './chooseDisks.js';
import { packExtents } from './extentParts.js';

/** One disk of a request that was accepted. */
export interface DiskIntent {
  body: BackupCreate;
  repository: { id: string };
  vmContextId: string;
  disk: ChosenDisk;
  restorePointId: string;
  backupId: string;
  /** How long it waits for a change list that follows. */
  extentsWaitMs: number;
}

/** Name of the list that came with the request, among the uploads. */
const WITH_REQUEST = '';

/**
 * Writes the intent of one disk: its place in the chain's FIFO, its row, the change list that came with it, and the place
 * where an agent is heard that pushes it.
 */
export async function writeIntent(tx: EntityManager, intent: DiskIntent): Promise<Position> {
  const { body, repository, vmContextId, disk, restorePointId, backupId, extentsWaitMs } = intent;
  const position = await takePosition(tx, disk.chainId, { effect: 'adds', awaits: disk.extentsFollow });
  const { seq, status } = position;
  await tx.query(
    `INSERT INTO backup_jobs (id, chain_id, seq, status, priority, created_at, restore_point_id, vm_context_id, disk_id,
       repository_id, requested_type, change_id, since_change_id, request, virtual_size, tags,
       max_bytes_per_second, deadline_seconds, extents_upload, awaits_extents_until)
     VALUES (?, ?, ?, ?, ?, (SELECT p.created_at FROM restore_points p WHERE p.id = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
       IF(?, UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND, NULL))`,
    [
      backupId,
      disk.chainId,
      seq,
      status,
      body.priority ?? 0,
      // One instant for all disks of the VM.
      restorePointId,
      restorePointId,
      vmContextId,
      disk.diskId,
      repository.id,
      body.backup_type,
      disk.changeId,
      disk.sinceChangeId,
      JSON.stringify(requestOf(body, disk)),
      disk.virtualSize,
      body.tags ? JSON.stringify(body.tags) : null,
      body.max_bytes_per_second ?? null,
      body.deadline_seconds ?? null,
      disk.extents ? WITH_REQUEST : null,
      disk.extentsFollow,
      extentsWaitMs * 1000,
    ],
  );
  let part = 0;
  for (const pairs of packExtents(disk.extents?.extents() ?? [])) {
    await addExtentsPart(tx, { backupId, upload: WITH_REQUEST, part: part++ }, pairs);
  }
  if (disk.source.type === 'push')
    await tx.query(`INSERT INTO push_exports (backup_id, state) VALUES (?, 'waiting')`, [backupId]);
  return position;
}

function requestOf(body: BackupCreate, disk: ChosenDisk): BackupRequest {
  return {
    source: disk.source,
    on_broken_chain: body.on_broken_chain ?? 'full',
    has_extents: disk.extents !== null || disk.extentsFollow,
    ...(body.full_every === undefined ? {} : { full_every: body.full_every }),
    ...(body.full_after_days === undefined ? {} : { full_after_days: body.full_after_days }),
    ...(body.verify === undefined ? {} : { verify: body.verify }),
  };
}
