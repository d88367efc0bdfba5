import { join } from 'node:path';
import { type OpenSource, openSource, type SourceSpec } from '../../datapath/index.js';
import { noteSeenSize } from '../../db/chain/seenSize.js';
import { asStrataError, isStrataError, StrataError } from '../../shared/errors.js';
import { claimSource } from '../job/claimStorage.js';
import type { HeldLease } from '../job/holdLease.js';
import type { ReportProgress, ServiceDeps } from '../deps.js';
import { makeDirectory, removeDirectories } from '../repository/durable.js';
import { diskDirectory } from '../repository/layout.js';
import { assertRepository } from '../repository/marker.js';
import { type Attempt, type BackupOutcome, nameFiles, writeAndPublish } from './attempt.js';
import { hasLied, trackerLied } from './audit.js';
import { type BackupContext, loadContext, planJob } from './context.js';
import { explainFailure } from './explainFailure.js';
import { fullInstead } from './fallback.js';
import { healLineage } from './heal/healLineage.js';
import { resumePublished } from './leftovers.js';
import { removeDeadPartials } from '../repository/partials.js';
import { lookAgain } from './lookAgain.js';
import { type BackupPlan, comparedInstead, type DiskFacts, withoutBitmap } from '../chain/index.js';
import { adoptPushed } from './push/pushedStep.js';
import { runPush } from './push/runPush.js';
import { isRestoredOver } from './restoredOver.js';
import { assertRoom } from './room.js';
import { transfer } from './transfer.js';

/**
 * One backup of one disk, under the chain's lease with fence f.
 *
 * Steps, and what a kill after each leaves:
 *  1. repository marker, catalogue, dead attempts' files   nothing new
 *  2. look again at what is suspect; open the source; heal what is damaged in ranges (decision 13); plan
 *                                                          files as they were, or right again; nothing new
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
  const { source } = context.job.request;
  const directory = join(rootPath, diskDirectory(context.vm.vmContextId, context.job.diskId));
  await makeDiskDirectory(context, directory);
  const adopted = source.type === 'push' ? await adoptPushed(deps, held, context) : undefined;
  await removeDeadPartials(directory, held.lease.fence, held.signal);
  const finished = await resumePublished(deps, held, context);
  if (finished) {
    // A crash between the link and the removal of the temporary name has left both, and the latter was adopted.
    if (adopted) await removeDeadPartials(directory, held.lease.fence + 1, held.signal);
    return finished;
  }
  await assertRoom(deps, context);
  report({ phase: 'opening', bytes_done: 0, bytes_total: null });
  const input = { deps, held, report, context: await lookAgain({ deps, held, context, report }) };
  return source.type === 'push' ? runPush(input, adopted) : runPull(input, source);
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

type Begun = Omit<Attempt, 'virtualSize'>;

/** Reads the disk from its source. */
async function runPull(input: Begun, spec: SourceSpec): Promise<BackupOutcome> {
  const { deps, held, context } = input;
  const policy = { ...deps.sourcePolicy, scratchDir: deps.scratchDir };
  const source = await openSource(spec, policy, { signal: held.signal });
  // A source that does not close well is worth a line in the log, not a failed job.
  let closing: Promise<StrataError | undefined> | undefined;
  const close = () => (closing ??= source.close().then(() => undefined, asStrataError));
  let outcome: BackupOutcome;
  try {
    // What a restore writes over is not read: it would be neither the one nor the other.
    await claimSource(deps.ds, held, source);
    const sizeChanges = await noteSeenSize(deps.ds, held.lease, context.job, source.sizeBytes);
    checkSize(context, source);
    const attempt = { ...input, virtualSize: source.sizeBytes };
    const healed = { ...attempt, context: await healLineage(attempt, source) };
    const facts = { sizeChanges, bitmapMissing: source.bitmapMissing };
    outcome = await copy(healed, { source, close }, facts);
  } catch (error) {
    await close();
    throw error;
  }
  const warning = await close();
  return warning ? { ...outcome, warning } : outcome;
}

async function copy(
  attempt: Attempt,
  { source, close }: { source: OpenSource; close: () => Promise<unknown> },
  facts: Omit<DiskFacts, 'virtualSize'>,
): Promise<BackupOutcome> {
  const { context, virtualSize } = attempt;
  let isClosed = false;
  const letGo = async () => {
    isClosed = true;
    await close();
  };
  let plan = await believable(attempt, planJob(context, { ...facts, virtualSize }), source);
  const by = async (chosen: BackupPlan) => {
    const names = await nameFiles(attempt, chosen);
    return writeAndPublish(attempt, chosen, names, async () => {
      const { layer, audit } = await transfer({ ...attempt, ...names, plan: chosen, source });
      // Before a tracker is accused: what was written meanwhile differs from what it told, too.
      await source.assertUnchanged();
      if (audit?.differing.length) throw await trackerLied(attempt, audit);
      return {
        bytesTransferred: layer.bytesWritten,
        changeId: context.job.changeId,
        audit,
        sourceCorrupt: source.corrupt,
        letGo,
      };
    });
  };
  for (;;) {
    try {
      return await by(plan);
    } catch (error) {
      // Nothing more can be read: the commit has failed.
      if (isClosed) throw error;
      // Each step down is taken once: a change list, a comparison, a full.
      const fallback = await stepDown(attempt, plan, error);
      if (!fallback) throw error;
      plan = fallback;
    }
  }
}

async function stepDown(
  { context, held }: Attempt,
  plan: BackupPlan,
  error: unknown,
): Promise<BackupPlan | undefined> {
  if (isStrataError(error, 'tracker_lied')) return comparedInstead(plan, 'tracker_lied');
  // The export that came back after a lost connection may be another one.
  if (plan.mode === 'changes' && isStrataError(error, 'bitmap_missing'))
    return withoutBitmap(plan, context.job.request.on_broken_chain);
  return fullInstead(context, plan, error, held.signal);
}

/** The plan, or a comparison where it is known already that the tracker cannot be right. */
async function believable(attempt: Attempt, plan: BackupPlan, source: OpenSource): Promise<BackupPlan> {
  if (await hasLied(attempt, plan)) return comparedInstead(plan, 'tracker_lied');
  if (await isRestoredOver(attempt, plan, source)) return comparedInstead(plan, 'disk_restored');
  return plan;
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
