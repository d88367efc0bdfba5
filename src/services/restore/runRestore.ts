import { rm } from 'node:fs/promises';
import { readSteps } from '../../db/jobs/journal.js';
import { completeWithResult } from '../../db/jobs/settle.js';
import { asStrataError, isStrataError, StrataError } from '../../shared/errors.js';
import type { HeldLease } from '../chain/holdLease.js';
import type { Outcome, ReportProgress, ServiceDeps } from '../deps.js';
import { allocatedBytes, syncDirectory } from '../repository/durable.js';
import { assertRepository } from '../repository/marker.js';
import type { RestoredDamage } from './damage.js';
import { planRestore, type RestorePlan } from './plan.js';
import { noteProof } from './proof.js';
import { beginPartial, publish, recognise, removePartials } from './publish.js';
import { assertRecordedChain, loadRequest, type RestoreRequest } from './request.js';
import type { RestoreResult } from './result.js';
import { assertDeviceHolds, assertRoom } from './room.js';
import { inspectTarget } from './target.js';
import { writeImage } from './write.js';

type Deps = Pick<ServiceDeps, 'ds' | 'clock' | 'scratchDir' | 'restoreRoots'>;

interface Attempt {
  deps: Deps;
  held: HeldLease;
  request: RestoreRequest;
  report: ReportProgress;
  /** Monotonic milliseconds. */
  startedAt: number;
}

/**
 * Restores a backup to a file or a block device and ends its job. Killed at any point, the next attempt of the same job
 * starts clean, or finishes what had been published already.
 * @throws wrong_state, backup_damaged: the backup must not be restored
 * @throws path_not_allowed, invalid_request, file_exists: the target must not be written
 * @throws no_space, content_mismatch, repository_unavailable, file_missing, tool_failed, lease_lost
 */
export async function runRestore(
  deps: Deps,
  held: HeldLease,
  jobId: string,
  report: ReportProgress,
): Promise<Outcome & { result: RestoreResult }> {
  const startedAt = deps.clock.monotonicMs();
  const request = await loadRequest(deps.ds, jobId);
  const { rootPath, id } = request.repository;
  await assertRepository(rootPath, id);
  const target = await inspectTarget(request.targetPath, deps.restoreRoots, rootPath);
  if (target.kind === 'taken') {
    const earlier = recognise(await readSteps(deps.ds, jobId), target.path, target.identity);
    if (earlier) {
      await removePartials(target.parent, jobId, held.lease.fence);
      await syncDirectory(target.parent);
      return finish(deps, held, earlier);
    }
  }
  const { format } = request;
  const plan = planRestore({ jobId, fence: held.lease.fence, format, target });
  const attempt = { deps, held, request, report, startedAt };
  const restore =
    plan.kind === 'file' ? () => restoreToFile(attempt, plan) : () => restoreToDevice(attempt, plan);
  const result = await explained(restore, deps, request);
  if (result.verified) await noteProof(deps.ds, request.backupId, true);
  // Where a validation has said so already, the restore adds nothing.
  else if (result.damage && !request.knownDamaged) await noteProof(deps.ds, request.backupId, false);
  return finish(deps, held, result);
}

async function finish(deps: Deps, held: HeldLease, result: RestoreResult) {
  return { next: await completeWithResult(deps.ds, held.lease, { ...result }), result };
}

/** A file that is missing because the repository went away is no statement on the backup. */
async function explained<T>(
  work: () => Promise<T>,
  deps: Deps,
  { repository, backupId }: RestoreRequest,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isStrataError(error, 'file_missing', 'tool_failed', 'backup_damaged', 'content_mismatch')) {
      await assertRepository(repository.rootPath, repository.id);
    }
    if (isStrataError(error, 'content_mismatch')) await noteProof(deps.ds, backupId, false);
    throw error;
  }
}

async function restoreToFile(
  attempt: Attempt,
  plan: Extract<RestorePlan, { kind: 'file' }>,
): Promise<RestoreResult> {
  const { deps, held, request, report } = attempt;
  const { signal } = held;
  await assertRecordedChain(request.images, signal);
  await beginPartial(deps.ds, plan, request.jobId, held.lease.fence);
  return removedAfterwards(plan.directory, async () => {
    // QEMU measures by reading all tables, which a damaged image may not have.
    if (!request.allowDamaged) await assertRoom(request.images[0] ?? '', plan.parent, signal);
    const damage = await writeImage({
      request,
      path: plan.temporary,
      format: plan.format,
      targetExists: false,
      scratchDir: deps.scratchDir,
      rate: held.rate,
      signal,
      report,
    });
    const result = resultOf(attempt, plan.final, await allocatedBytes(plan.temporary), damage);
    return publish(deps.ds, held, plan, result);
  });
}

async function restoreToDevice(
  attempt: Attempt,
  plan: Extract<RestorePlan, { kind: 'device' }>,
): Promise<RestoreResult> {
  const { deps, held, request, report } = attempt;
  const { signal } = held;
  await assertRecordedChain(request.images, signal);
  await assertDeviceHolds(plan.path, request.virtualSize, signal);
  await held.assertHeld();
  const { path, format } = plan;
  const damage = await writeImage({
    request,
    path,
    format,
    targetExists: true,
    scratchDir: deps.scratchDir,
    rate: held.rate,
    signal,
    report,
  });
  return resultOf(attempt, path, request.virtualSize, damage);
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
async function removedAfterwards<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const remove = () => rm(directory, { recursive: true, force: true });
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
