import type { BackupAccepted, BackupCreate, SourceWarning } from '../../contract/index.js';
import { addRestorePoint } from '../../db/chain/restorePoints.js';
import type { EntityManager } from '../../db/database.js';
import { type AddedJob, addBackupJob } from '../../db/job/addJob.js';
import { addExtentsPart } from '../../db/job/awaitExtents.js';
import { enabledRepository } from '../../db/repository/repositories.js';
import type { BackupRequest } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { newId } from '../../shared/ids.js';
import { checkVmName } from '../../shared/names.js';
import { type ChosenDisk, type ChosenDisks, chooseDisks } from './chooseDisks.js';
import type { AcceptDeps, Idempotency } from './deps.js';
import { type Accepted, acceptOnce } from './once.js';
import { packExtents } from './extentParts.js';
import { ensureContext } from './registerVm.js';
import { lookForSame } from './sameSources.js';
import { foreseeBackup } from '../../services/chain/index.js';

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
    const repository = await enabledRepository(tx, body.repository_id);
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
  repository: Awaited<ReturnType<typeof enabledRepository>>;
  vmContextId: string;
  warnings: SourceWarning[];
}

async function writeIntents(
  tx: EntityManager,
  deps: AcceptDeps,
  intents: Intents,
): Promise<Accepted<BackupAccepted>> {
  const { body, repository, vmContextId, chosen, warnings } = intents;
  const restorePointId = newId('rp', deps.clock.now());
  await addRestorePoint(tx, {
    id: restorePointId,
    vmContextId,
    repositoryId: repository.id,
    type: body.backup_type,
    missingDisks: intents.missing,
    notes: intents.notes,
  });
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
    const { id, status, backupsInFront, delivery } = await writeIntent(
      tx,
      deps,
      intents,
      restorePointId,
      disk,
    );
    const prediction = await predictDemotion(
      tx,
      { body, disk, request: requestOf(body, disk), restorePointId },
      backupsInFront,
    );
    const still = stillToCome(disk);
    answer.disk_results.push({ disk_id: disk.diskId, backup_id: id, status, ...prediction, ...still });
    if (delivery) accepted.deliveries.push(delivery);
  }
  return accepted;
}

/** Name of the list that came with the request, among the uploads. */
const WITH_REQUEST = '';

/** Writes the intent of one disk: its job, with its place in the chain's FIFO, and the change list that came with it. */
async function writeIntent(
  tx: EntityManager,
  { settings, clock }: AcceptDeps,
  { body, repository, vmContextId }: Intents,
  restorePointId: string,
  disk: ChosenDisk,
): Promise<AddedJob> {
  const added = await addBackupJob(tx, {
    place: { chainId: disk.chainId, repositoryId: repository.id, pool: repository.pool },
    restorePointId,
    vmContextId,
    diskId: disk.diskId,
    requestedType: body.backup_type,
    changeId: disk.changeId,
    sinceChangeId: disk.sinceChangeId,
    request: requestOf(body, disk),
    virtualSize: disk.virtualSize,
    tags: body.tags,
    extentsUpload: disk.extents ? WITH_REQUEST : null,
    extentsWaitMs: disk.extentsFollow ? settings.extentsWaitMs : null,
    priority: body.priority,
    maxBytesPerSecond: body.max_bytes_per_second,
    deadlineSeconds: body.deadline_seconds,
    now: clock.now(),
  });
  let part = 0;
  for (const pairs of packExtents(disk.extents?.extents() ?? [])) {
    await addExtentsPart(tx, { backupId: added.id, upload: WITH_REQUEST, part: part++ }, pairs);
  }
  return added;
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

/** What the upstream has to wait for, or to send, before the disk can be backed up. */
function stillToCome({ extentsFollow, source }: ChosenDisk) {
  return {
    ...(extentsFollow ? { awaits_extents: true } : {}),
    ...(source.type === 'push' ? { nbd_export: null } : {}),
  };
}

/** What a request asks of one disk. */
interface Asked {
  body: BackupCreate;
  disk: ChosenDisk;
  request: BackupRequest;
  restorePointId: string;
}

/**
 * Foresees the worker's plan on the catalogue as it is now, so that the answer can say that an incremental will be a full
 * and why. Only where no other backup is in front, because that one may change the outcome.
 * @throws chain_broken or change_id_mismatch where the request forbids the full; nothing is accepted then
 */
export async function predictDemotion(
  tx: EntityManager,
  { body, disk, request, restorePointId }: Asked,
  backupsInFront: boolean,
): Promise<{ backup_type: string; demoted_reason: string | null }> {
  if (backupsInFront) return { backup_type: body.backup_type, demoted_reason: null };
  const plan = await foreseeBackup(tx, disk.chainId, {
    requestedType: body.backup_type,
    request,
    sinceChangeId: disk.sinceChangeId,
    virtualSize: disk.virtualSize,
    restorePointId,
  });
  return { backup_type: plan.type, demoted_reason: plan.demotedReason };
}
