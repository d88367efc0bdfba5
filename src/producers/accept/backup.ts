import type { BackupAccepted, BackupCreate, SourceWarning } from '../../contract/index.js';
import type { EntityManager } from '../../db/database.js';
import { StrataError } from '../../shared/errors.js';
import { newId } from '../../shared/ids.js';
import { checkVmName } from '../../shared/names.js';
import { type ChosenDisk, type ChosenDisks, chooseDisks } from './chooseDisks.js';
import type { AcceptDeps, Idempotency } from './deps.js';
import { type Accepted, acceptOnce } from './once.js';
import { predictDemotion } from './predict.js';
import { writeIntent } from './writeIntent.js';
import { ensureContext, findRepository, type NamedRepository } from './registerVm.js';
import { lookForSame } from './sameSources.js';

/**
 * Accepts a backup: one restore point, one intent per disk with its place in the disk's chain, in one transaction.
 * Without `disks`, all disks of the registered VM.
 * @throws chain_broken when it is certain now that there is no parent and `on_broken_chain` is `fail`
 */
export async function acceptBackup(
  deps: AcceptDeps,
  body: BackupCreate,
  idempotency?: Idempotency,
): Promise<BackupAccepted> {
  checkVmName(body.vm_name, 'vm_name');
  checkSchedule(body);
  const stated = body.disks?.flatMap(({ source }) => source ?? []) ?? [];
  const same = await lookForSame(deps, stated);
  return acceptOnce(deps, idempotency, async (tx) => {
    // After the look-up of the key: what was accepted is answered again however long the backlog is.
    await deps.backlog.assertRoom(tx);
    const repository = await findRepository(tx, body.repository_id);
    const vmContextId = await ensureContext(tx, deps, repository.id, body.vm_name, body.upstream_id ?? '');
    const disks = await chooseDisks(tx, deps, vmContextId, body);
    deps.backlog.add(disks.chosen.length);
    const vm = { vmName: body.vm_name, upstreamId: body.upstream_id ?? '', vmContextId };
    const warnings = same(vm, disks.chosen);
    return writeIntents(tx, deps, { body, repository, vmContextId, warnings, ...disks });
  });
}

/** Words that would do nothing are refused: somebody believes that they do. */
function checkSchedule(body: BackupCreate): void {
  for (const field of ['full_every', 'full_after_days'] as const) {
    if (body[field] === undefined || body.backup_type === 'auto') continue;
    throw new StrataError('invalid_request', `${field} goes with backup_type "auto".`, { field });
  }
  if (body.backup_type === 'full' && body.on_broken_chain === 'fail') {
    throw new StrataError('invalid_request', 'A full stands on no chain: on_broken_chain would do nothing.', {
      field: 'on_broken_chain',
    });
  }
}

/** What a request asks for, put together. */
interface Intents extends ChosenDisks {
  body: BackupCreate;
  repository: NamedRepository;
  vmContextId: string;
  warnings: SourceWarning[];
}

async function insertPoint(tx: EntityManager, restorePointId: string, intents: Intents): Promise<void> {
  const { body, repository, vmContextId, missing, notes } = intents;
  await tx.query(
    `INSERT INTO restore_points (id, vm_context_id, repository_id, type, status, missing_disks, notes, created_at)
     VALUES (?, ?, ?, ?, 'pending', ?, ?, UTC_TIMESTAMP(3))`,
    [
      restorePointId,
      vmContextId,
      repository.id,
      body.backup_type,
      missing,
      notes.length > 0 ? JSON.stringify(notes) : null,
    ],
  );
}

async function writeIntents(
  tx: EntityManager,
  deps: AcceptDeps,
  intents: Intents,
): Promise<Accepted<BackupAccepted>> {
  const { body, repository, vmContextId, chosen, warnings } = intents;
  const { extentsWaitMs } = deps.settings;
  const restorePointId = newId('rp', deps.clock.now());
  await insertPoint(tx, restorePointId, intents);
  const answer: BackupAccepted = {
    restore_point_id: restorePointId,
    vm_context_id: vmContextId,
    status: 'pending',
    disk_results: [],
    ...(warnings.length > 0 ? { warnings } : {}),
  };
  const accepted: Accepted<BackupAccepted> = { answer, deliveries: [] };
  // In the order of disk ids, so that two requests for one VM lock the chains in the same order.
  for (const disk of [...chosen].sort((a, b) => a.diskId - b.diskId)) {
    const backupId = newId('bkp', deps.clock.now());
    const { status, backupsInFront } = await writeIntent(tx, {
      ...intents,
      disk,
      restorePointId,
      backupId,
      extentsWaitMs,
    });
    const prediction = await predictDemotion(tx, body, disk, backupsInFront);
    const still = stillToCome(disk);
    answer.disk_results.push({ disk_id: disk.diskId, backup_id: backupId, status, ...prediction, ...still });
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

/** What the upstream has to wait for, or to send, before the disk can be backed up. */
function stillToCome({ extentsFollow, source }: ChosenDisk) {
  return {
    ...(extentsFollow ? { awaits_extents: true } : {}),
    ...(source.type === 'push' ? { nbd_export: null } : {}),
  };
}
