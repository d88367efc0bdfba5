import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type OpenSource, openSource } from '../../datapath/index.js';
import type { PublishedBackup } from '../../db/jobs/commitBackup.js';
import { asStrataError, StrataError } from '../../shared/errors.js';
import type { HeldLease } from '../chain/holdLease.js';
import type { Outcome, ReportProgress, ServiceDeps } from '../deps.js';
import { makeDirectory, removeDirectories, removeFiles } from '../repository/durable.js';
import {
  type BackupFiles,
  backupFiles,
  diskDirectory,
  nextSeconds,
  partialFiles,
} from '../repository/layout.js';
import { assertRepository } from '../repository/marker.js';
import { type BackupContext, loadContext } from './context.js';
import { explainFailure } from './explainFailure.js';
import { fullInstead } from './fallback.js';
import { removeDeadPartials, resumePublished } from './leftovers.js';
import { type BackupPlan, planBackup } from './plan.js';
import { publish } from './publish.js';
import { assertRoom, noteOutOfRoom, writtenBytes } from './room.js';
import { transfer } from './transfer.js';
import { verifyNew } from './verifyNew.js';

export type BackupOutcome = Outcome & { backup: PublishedBackup };

/**
 * One backup of one disk, under the chain's lease with fence f.
 *
 * Steps, and what a kill after each leaves:
 *  1. repository marker, catalogue, dead attempts' files   nothing new
 *  2. open the source, plan                                nothing new
 *  3. bytes and digests into `.<name>.<f>.partial`         partial files, removed by the next attempt
 *  4. check, content id, manifest; all flushed             the same
 *  5. journal `publish`, fence check, links                a published file that the manifest ties to this job:
 *                                                          finished by the next attempt, not repeated
 *  6. fenced commit                                        a completed backup
 * Invariant: the row says `completed` only in 6; the chain's latest backup moves only in 6.
 */
export async function runBackup(
  deps: ServiceDeps,
  held: HeldLease,
  jobId: string,
  report: ReportProgress,
): Promise<BackupOutcome> {
  const context = await loadContext(deps.ds, jobId);
  await assertRepository(context.repository.rootPath, context.repository.id);
  try {
    return await resumeOrBegin(deps, held, context, report);
  } catch (error) {
    return explainFailure(context, held, error);
  }
}

async function resumeOrBegin(
  deps: ServiceDeps,
  held: HeldLease,
  context: BackupContext,
  report: ReportProgress,
): Promise<BackupOutcome> {
  const { rootPath } = context.repository;
  const directory = join(rootPath, diskDirectory(context.vm.vmContextId, context.job.diskId));
  await makeDiskDirectory(context, directory);
  await removeDeadPartials(directory, held.lease.fence);
  const finished = await resumePublished(deps, held, context);
  if (finished) return finished;
  await assertRoom(deps, context);
  report({ phase: 'opening', bytes_done: 0, bytes_total: null });
  const policy = { ...deps.sourcePolicy, scratchDir: deps.scratchDir };
  const source = await openSource(sourceSpec(context), policy, { signal: held.signal });
  let outcome: BackupOutcome;
  try {
    checkSize(context, source);
    outcome = await write(deps, held, context, source, report);
  } catch (error) {
    await source.close();
    throw error;
  }
  // The backup is committed: a source that does not close well is worth a line in the log, not a failed job.
  const warning = await source.close().then(() => undefined, asStrataError);
  return warning ? { ...outcome, warning } : outcome;
}

/** Where the repository went away just before, the directories came to be below its empty mount point. */
async function makeDiskDirectory({ repository }: BackupContext, directory: string): Promise<void> {
  const { rootPath, id } = repository;
  const made = await makeDirectory(rootPath, directory);
  if (made === undefined) return;
  try {
    await assertRepository(rootPath, id);
  } catch (error) {
    await removeDirectories(made, directory);
    throw error;
  }
}

async function write(
  deps: ServiceDeps,
  held: HeldLease,
  context: BackupContext,
  source: OpenSource,
  report: ReportProgress,
): Promise<BackupOutcome> {
  const { job, chain, restorePoint } = context;
  const plan = planBackup({
    requestedType: job.requestedType,
    onBrokenChain: job.request.on_broken_chain,
    tracker: trackerOf(context),
    trackerDistrusted: chain.trackerDistrust > 0,
    sinceChangeId: job.sinceChangeId,
    virtualSize: source.sizeBytes,
    segmentFull: context.segmentFull,
    latest: context.lineage[0] ?? null,
    damagedBelow: context.lineage.some((layer) => layer.health === 'damaged'),
    lineageBroken: context.lineageBroken,
    depth: context.lineage.length,
    fullEvery: job.request.full_every,
    fullAfterDays: job.request.full_after_days,
    backupsSinceFull: chain.backupsSinceFull,
    fullAgeMs: chain.fullAt && restorePoint.createdAt.getTime() - chain.fullAt.getTime(),
  });
  const input = { deps, held, context, source, report };
  try {
    return await attempt(input, plan);
  } catch (error) {
    const fallback = await fullInstead(context, plan, error, held.signal);
    if (!fallback) throw error;
    return attempt(input, fallback);
  }
}

type AttemptInput = Pick<WriteInput, 'deps' | 'held' | 'context' | 'source' | 'report'>;

/** Names the files, writes them and publishes them; leaves no temporary file when it fails. */
async function attempt(input: AttemptInput, plan: BackupPlan): Promise<BackupOutcome> {
  const { deps, held, context } = input;
  const { job, vm, restorePoint, repository } = context;
  const directory = diskDirectory(vm.vmContextId, job.diskId);
  const names = await readdir(join(repository.rootPath, directory));
  const seconds = nextSeconds(restorePoint.createdAt, [...names, ...context.takenNames]);
  const files = backupFiles({
    vmContextId: vm.vmContextId,
    vmName: vm.vmName,
    diskId: job.diskId,
    seconds,
    type: plan.type,
  });
  const partial = partialFiles(files, held.lease.fence);
  try {
    return await writeAndPublish({ ...input, plan, files, partial });
  } catch (failure) {
    const error = asStrataError(failure);
    const outOfRoom = error.code === 'no_space';
    const written = outOfRoom ? await writtenBytes(repository.rootPath, partial) : 0;
    await removePartials(repository.rootPath, partial, error);
    if (outOfRoom) await noteOutOfRoom(deps.ds, held, written);
    throw error;
  }
}

interface WriteInput {
  deps: ServiceDeps;
  held: HeldLease;
  context: BackupContext;
  plan: BackupPlan;
  source: OpenSource;
  files: BackupFiles;
  partial: BackupFiles;
  report: ReportProgress;
}

async function writeAndPublish(input: WriteInput): Promise<BackupOutcome> {
  const layer = await transfer(input);
  input.report({ phase: 'checking', bytes_done: layer.bytesWritten, bytes_total: layer.bytesWritten });
  const { contentId } = await verifyNew(input);
  return publish({
    ...input,
    virtualSize: input.source.sizeBytes,
    bytesTransferred: layer.bytesWritten,
    contentId,
  });
}

/** Leaves nothing half-written behind; where even that fails, the next attempt removes it, and the error says so. */
async function removePartials(root: string, partial: BackupFiles, cause: unknown): Promise<void> {
  try {
    await removeFiles([partial.image, partial.digests, partial.manifest].map((path) => join(root, path)));
  } catch (error) {
    const failed = asStrataError(cause);
    throw new StrataError(
      failed.code,
      `${failed.message} Its temporary files could not be removed: ${(error as Error).message}`,
      {
        cause: new AggregateError([cause, error]),
        details: failed.details,
      },
    );
  }
}

function sourceSpec(context: BackupContext): Parameters<typeof openSource>[0] {
  const { source } = context.job.request;
  if (source.type === 'push')
    throw new StrataError('invalid_request', 'Push sources are not available in this version.');
  return source;
}

function trackerOf({ job }: BackupContext): 'extents' | 'bitmap' | 'none' {
  if (job.request.has_extents) return 'extents';
  return job.request.source.type === 'nbd' && job.request.source.bitmap ? 'bitmap' : 'none';
}

/** A request that states a size speaks of that disk and no other. */
function checkSize(context: BackupContext, source: OpenSource): void {
  const stated = context.job.virtualSize;
  if (stated !== null && stated !== source.sizeBytes) {
    throw new StrataError(
      'invalid_request',
      `The request says that the disk has ${stated} bytes; the source has ${source.sizeBytes}.`,
      {
        field: 'virtual_size',
      },
    );
  }
}
