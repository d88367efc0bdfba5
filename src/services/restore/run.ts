import { basename } from 'node:path';
import { holdDevice } from '../../datapath/index.js';
import { readSteps } from '../../db/job/journal.js';
import { completeWithResult } from '../../db/job/settle.js';
import { passedBackup } from '../../db/job/waiting.js';
import { allRepositories } from '../../db/repository/repositories.js';
import { asStrataError, isStrataError, StrataError } from '../../shared/errors.js';
import { claimName, claimPath } from '../job/claimStorage.js';
import type { HeldLease } from '../job/holdLease.js';
import { assertPlace, lookUpPlace, type Place } from '../job/openPlace.js';
import type { Under } from '../job/under.js';
import type { Outcome, ServiceDeps } from '../deps.js';
import { allocatedBytes } from '../repository/durable.js';
import type { RestoredDamage } from './damage.js';
import { planRestore, type RestorePlan } from './plan.js';
import { noteContent } from '../../db/chain/health.js';
import { beginPartial, publish, recognise, removePartials } from './publish.js';
import { assertRecordedChain, loadRequest, type RestoreRequest } from './request.js';
import type { RestoreResult } from './result.js';
import { assertDeviceHolds, assertRoom } from './room.js';
import { fromImages, onTarget, type WrittenPath } from './sides.js';
import { inspectTarget, type TargetFacts } from './target.js';
import { openTargetDirectory, removeDirectoryAt, type TargetDirectory } from './targetDirectory.js';
import { type WriteOptions, writeImage } from './write.js';

export type RestoreDeps = Pick<ServiceDeps, 'ds' | 'clock' | 'scratchDir' | 'restoreRoots'>;

interface Attempt extends Under<RestoreDeps> {
  request: RestoreRequest;
  /** Monotonic milliseconds. */
  startedAt: number;
}

/**
 * Restores a backup to a file or a block device and ends its job. Killed at any point, the next attempt of the same job
 * starts clean, or finishes what had been published already.
 * @throws wrong_state, backup_damaged: the backup must not be restored
 * @throws path_not_allowed, invalid_request, file_exists: the target must not be written
 * @throws backup_goes_first: a backup in front, which may read the device, has not ended
 * @throws target_in_use, target_changed, target_unreliable, resource_busy: it is not to be had, or not to be trusted
 * @throws content_mismatch, image_unreadable, repository_file_in_use: what is wrong is the backup, or its file
 * @throws no_space, repository_unavailable, file_missing, tool_failed, lease_lost
 */
export async function runRestore(under: Under<RestoreDeps>): Promise<Outcome & { result: RestoreResult }> {
  const { deps, held, io } = under;
  const startedAt = deps.clock.monotonicMs();
  // A backup that must not be restored is refused wherever its repository is.
  const place = await lookUpPlace(deps.ds, held.lease, 'restore');
  const request = await loadRequest(deps.ds, place);
  await assertPlace(place);
  const repositories = await allRepositories(deps.ds);
  const rules = { roots: deps.restoreRoots, repositories, signal: io.signal };
  const target = await inspectTarget(request.targetPath, rules);
  const earlier = target.kind === 'taken' ? await published(under, target) : undefined;
  if (earlier) return finish(under, earlier);
  const { format } = request;
  const plan = planRestore({ jobId: place.job.id, fence: held.lease.fence, format, target });
  const attempt = { ...under, request, startedAt };
  const restore =
    plan.kind === 'file' ? () => restoreToFile(attempt, plan) : () => restoreToDevice(attempt, plan);
  const result = await explained(restore, deps, request, place);
  if (result.verified) await noteContent(deps.ds, request.backupId, 'right');
  // Where a validation has said so already, the restore adds nothing.
  else if (result.damage && !request.knownDamaged) await noteContent(deps.ds, request.backupId, 'wrong');
  return finish(under, result);
}

/** What an attempt of this job has published before it died; what it has left beside it is removed. */
async function published(
  { deps: { ds }, held: { lease } }: Under<RestoreDeps>,
  target: Extract<TargetFacts, { kind: 'taken' }>,
): Promise<RestoreResult | undefined> {
  const earlier = recognise(await readSteps(ds, lease.jobId), target.path, target.identity);
  if (!earlier) return undefined;
  await inDirectory(target.parent, async (directory) => {
    await removePartials(directory, lease.jobId, lease.fence);
    await directory.sync();
  });
  return earlier;
}

async function inDirectory<T>(path: string, work: (directory: TargetDirectory) => Promise<T>): Promise<T> {
  const directory = await openTargetDirectory(path);
  try {
    return await work(directory);
  } finally {
    await directory.close();
  }
}

async function finish({ deps, held }: Under<RestoreDeps>, result: RestoreResult) {
  return { next: await completeWithResult(deps.ds, held.lease, { ...result }), result };
}

/** What a repository that went away looks like from inside the work. */
const PERHAPS_REPOSITORY = [
  'file_missing',
  'image_unreadable',
  'tool_failed',
  'backup_damaged',
  'content_mismatch',
] as const;

/** A file that is missing because the repository went away is no statement on the backup. */
async function explained<T>(
  work: () => Promise<T>,
  deps: RestoreDeps,
  { backupId }: RestoreRequest,
  place: Place,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isStrataError(error, ...PERHAPS_REPOSITORY)) await assertPlace(place);
    // The point itself was read: it is wrong, or it is right and whoever has accused it before was mistaken.
    if (isStrataError(error, 'content_mismatch')) await noteContent(deps.ds, backupId, 'wrong');
    if (isStrataError(error, 'target_unreliable') && error.details['point_is_right'] === true)
      await noteContent(deps.ds, backupId, 'right');
    throw error;
  }
}

async function restoreToFile(
  attempt: Attempt,
  plan: Extract<RestorePlan, { kind: 'file' }>,
): Promise<RestoreResult> {
  const { deps, held, io, request } = attempt;
  await fromImages(request, () => assertRecordedChain(request.images, io.signal));
  return inDirectory(plan.parent, async (parent) => {
    const name = basename(plan.final);
    const target: WrittenPath = { path: parent.at(), shown: plan.final };
    await claimName(deps.ds, held, parent.at(), name, plan.final);
    const partial = await onTarget(target, () => beginPartial(deps.ds, parent, plan, held.lease));
    const remove = async () => {
      await partial.close();
      await removeDirectoryAt(parent, basename(plan.directory));
    };
    return removedAfterwards(plan.directory, remove, async () => {
      // QEMU measures by reading all tables, which a damaged image may not have.
      if (!request.allowDamaged)
        await fromImages(request, () => assertRoom(request.images[0] ?? '', parent, io.signal));
      const written = { path: partial.at(name), shown: plan.final };
      const damage = await write(attempt, { target: written, targetExists: false });
      return onTarget(written, async () => {
        const result = resultOf(attempt, plan.final, await allocatedBytes(written.path), damage);
        return publish(deps.ds, held, { parent, partial, plan }, result);
      });
    });
  });
}

/** A restore to a device may destroy what a backup that it has passed was to save: it does not pass one (decision 0021). */
async function letBackupsGoFirst({ deps, held }: Attempt, path: string): Promise<void> {
  const backup = await passedBackup(deps.ds, held.lease);
  if (backup === undefined) return;
  throw new StrataError(
    'backup_goes_first',
    `Backup ${backup} of this disk was accepted before and may read ${path}, which the restore would overwrite: it goes first. Cancel it if it is not wanted.`,
  );
}

async function restoreToDevice(
  attempt: Attempt,
  plan: Extract<RestorePlan, { kind: 'device' }>,
): Promise<RestoreResult> {
  const { deps, held, io, request } = attempt;
  await letBackupsGoFirst(attempt, plan.path);
  await fromImages(request, () => assertRecordedChain(request.images, io.signal));
  await claimPath(deps.ds, held, plan.path, 'write');
  const device = await holdDevice(plan.path).catch((error: unknown) => {
    throw perhapsOwn(held, error);
  });
  try {
    const target = { path: device.path, shown: plan.path };
    await onTarget(target, () => assertDeviceHolds(device.path, plan.path, request.virtualSize, io.signal));
    await held.assertHeld();
    const damage = await write(attempt, { target, targetExists: true });
    return resultOf(attempt, plan.path, request.virtualSize, damage);
  } finally {
    await device.close();
  }
}

/**
 * A worker that was frozen in an earlier attempt still holds the device: the restore must not fail for itself, and waits as
 * long as it may.
 */
function perhapsOwn({ lease }: HeldLease, error: unknown): unknown {
  if (lease.deaths === 0 || !isStrataError(error, 'target_in_use')) return error;
  const message = `${error.message} Perhaps that is an earlier attempt of this restore, whose worker stands still.`;
  return new StrataError('resource_busy', message, { cause: error, details: error.details });
}

function write(
  attempt: Attempt,
  target: Pick<WriteOptions, 'target' | 'targetExists'>,
): Promise<RestoredDamage | undefined> {
  const { io, report, request } = attempt;
  return writeImage({ ...target, request, format: request.format, io, report });
}

function resultOf(
  { deps, request, startedAt }: Attempt,
  path: string,
  bytes: number,
  damage: RestoredDamage | undefined,
): RestoreResult {
  return {
    path,
    format: request.format,
    virtual_size: request.virtualSize,
    bytes,
    content_id: request.contentId,
    verified: damage ? damage.bytes === 0 : request.verify,
    ...(damage ? { damage } : {}),
    seconds: (deps.clock.monotonicMs() - startedAt) / 1000,
  };
}

/** Removes the attempt's directory whatever comes of the work; trouble with that does not hide the work's own. */
async function removedAfterwards<T>(
  directory: string,
  remove: () => Promise<void>,
  work: () => Promise<T>,
): Promise<T> {
  let value: T;
  try {
    value = await work();
  } catch (error) {
    await remove().catch((trouble: unknown) => {
      const { code, message } = asStrataError(error);
      throw new StrataError(code, `${message} (${directory} could not be removed: ${String(trouble)})`, {
        cause: error,
      });
    });
    throw error;
  }
  await remove();
  return value;
}
