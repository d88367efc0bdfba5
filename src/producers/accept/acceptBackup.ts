import type { EntityManager } from '../../db/database.js';
import { type Position, takePosition } from '../../db/jobs/position.js';
import type { BackupRequest } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { newId } from '../../shared/ids.js';
import { checkVmName } from '../../shared/names.js';
import type { BackupAnswer, BackupBody } from './bodies.js';
import { type ChosenDisk, chooseDisks } from './chooseDisks.js';
import type { AcceptDeps, Idempotency } from './deps.js';
import { packExtents } from './extentParts.js';
import { type Accepted, acceptOnce } from './once.js';
import { predictDemotion } from './predict.js';
import { ensureContext, findRepository, type NamedRepository } from './registerVm.js';

/**
 * Accepts a backup: one restore point, one intent per disk with its place in the disk's chain, in one transaction.
 * Without `disks`, all disks of the registered VM.
 * @throws chain_broken when it is certain now that there is no parent and `on_broken_chain` is `fail`
 */
export async function acceptBackup(
  deps: AcceptDeps,
  body: BackupBody,
  idempotency?: Idempotency,
): Promise<BackupAnswer> {
  checkVmName(body.vm_name, 'vm_name');
  checkSchedule(body);
  return acceptOnce(deps, idempotency, async (tx) => {
    // After the look-up of the key: what was accepted is answered again however long the backlog is.
    await deps.backlog.assertRoom(tx);
    const repository = await findRepository(tx, body.repository_id);
    const vmContextId = await ensureContext(tx, deps, repository.id, body.vm_name, body.upstream_id ?? '');
    const { chosen, missing } = await chooseDisks(tx, deps, vmContextId, body);
    deps.backlog.add(chosen.length);
    return writeIntents(tx, deps, { body, repository, vmContextId, chosen, missing });
  });
}

/** Words that would do nothing are refused: somebody believes that they do. */
function checkSchedule(body: BackupBody): void {
  for (const field of ['full_every', 'full_after_days'] as const) {
    if (body[field] === undefined || body.backup_type === 'auto') continue;
    throw new StrataError('invalid_request', `${field} goes with backup_type "auto".`, { field });
  }
}

interface Intents {
  body: BackupBody;
  repository: NamedRepository;
  vmContextId: string;
  chosen: ChosenDisk[];
  missing: number;
}

async function writeIntents(
  tx: EntityManager,
  deps: AcceptDeps,
  intents: Intents,
): Promise<Accepted<BackupAnswer>> {
  const { body, repository, vmContextId, chosen, missing } = intents;
  const restorePointId = newId('rp', deps.clock.now());
  await tx.query(
    `INSERT INTO restore_points (id, vm_context_id, repository_id, type, status, missing_disks, created_at)
     VALUES (?, ?, ?, ?, 'pending', ?, UTC_TIMESTAMP(3))`,
    [restorePointId, vmContextId, repository.id, body.backup_type, missing],
  );
  const answer: BackupAnswer = {
    restore_point_id: restorePointId,
    vm_context_id: vmContextId,
    status: 'pending',
    disk_results: [],
  };
  const accepted: Accepted<BackupAnswer> = { answer, deliveries: [] };
  // In the order of disk ids, so that two requests for one VM lock the chains in the same order.
  for (const disk of [...chosen].sort((a, b) => a.diskId - b.diskId)) {
    const backupId = newId('bkp', deps.clock.now());
    const { status, backupsInFront } = await writeIntent(tx, intents, disk, restorePointId, backupId);
    const prediction = await predictDemotion(tx, body, disk, backupsInFront);
    answer.disk_results.push({ disk_id: disk.diskId, backup_id: backupId, status, ...prediction });
    if (status === 'released') {
      accepted.deliveries.push({
        kind: 'backup',
        jobId: backupId,
        pool: repository.pool,
        delivery: 1,
        delayMs: 0,
        priority: body.priority ?? 0,
      });
    }
  }
  return accepted;
}

function requestOf(body: BackupBody, disk: ChosenDisk): BackupRequest {
  return {
    source: disk.source,
    on_broken_chain: body.on_broken_chain ?? 'full',
    has_extents: disk.extents !== null,
    ...(body.full_every === undefined ? {} : { full_every: body.full_every }),
    ...(body.full_after_days === undefined ? {} : { full_after_days: body.full_after_days }),
  };
}

async function writeIntent(
  tx: EntityManager,
  intents: Intents,
  disk: ChosenDisk,
  restorePointId: string,
  backupId: string,
): Promise<Position> {
  const { body, repository, vmContextId } = intents;
  const position = await takePosition(tx, disk.chainId);
  const { seq, status } = position;
  await tx.query(
    `INSERT INTO backup_jobs (id, chain_id, seq, status, priority, created_at, restore_point_id, vm_context_id, disk_id,
       repository_id, requested_type, change_id, since_change_id, request, virtual_size, tags,
       max_bytes_per_second, deadline_seconds)
     VALUES (?, ?, ?, ?, ?, (SELECT p.created_at FROM restore_points p WHERE p.id = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
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
    ],
  );
  for (const [part, pairs] of packExtents(disk.extents ?? []).entries()) {
    await tx.query('INSERT INTO backup_extents (backup_id, part, pairs) VALUES (?, ?, ?)', [
      backupId,
      part,
      pairs,
    ]);
  }
  return position;
}
