import { type OpenSource, openSource, type SourceSpec } from '../../datapath/index.js';
import { noteSeenSize } from '../../db/chain/seenSize.js';
import { asStrataError, isStrataError, StrataError } from '../../shared/errors.js';
import { claimSource } from '../job/claimStorage.js';
import { clearPlace, openPlace } from '../job/openPlace.js';
import type { Under } from '../job/under.js';
import type { ServiceDeps } from '../deps.js';
import { type Attempt, type BackupOutcome, type Begun, nameFiles } from './attempt.js';
import { hasLied, isRestoredOver, trackerLied } from './audit.js';
import { type BackupContext, loadContext, planJob } from './context.js';
import { explainFailure } from './explainFailure.js';
import { fullInstead } from './fallback.js';
import { healLineage } from './heal/healLineage.js';
import { resumePublished } from './leftovers.js';
import { removeDeadPartials } from '../repository/partials.js';
import {
  type BackupPlan,
  comparedInstead,
  type DiskFacts,
  healthOf,
  isLocated,
  withoutBitmap,
} from '../chain/index.js';
import { adoptPushed } from './push/pushedStep.js';
import { runPush } from './push/runPush.js';
import { assertRoom } from './room.js';
import { transfer } from './transfer.js';
import { writeAndPublish } from './writeAndPublish.js';
import { quickLook } from '../validation/quickLook.js';

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
export async function runBackup(under: Under<ServiceDeps>): Promise<BackupOutcome> {
  const place = await openPlace(under, 'backup');
  const begun = { ...under, context: await loadContext(under.deps.ds, place) };
  try {
    return await resumeOrBegin(begun);
  } catch (error) {
    return explainFailure(begun, error);
  }
}

async function resumeOrBegin(begun: Begun): Promise<BackupOutcome> {
  const { deps, held, io, context } = begun;
  const { source } = context.job.request;
  const adopted = source.type === 'push' ? await adoptPushed(begun) : undefined;
  const directory = await clearPlace(begun, context);
  const finished = await resumePublished(begun);
  if (finished) {
    // A crash between the link and the removal of the temporary name has left both, and the latter was adopted.
    if (adopted) await removeDeadPartials(directory, held.lease.fence + 1, io.signal);
    return finished;
  }
  await assertRoom(deps, context);
  begun.report({ phase: 'opening', bytes_done: 0, bytes_total: null });
  const looked = { ...begun, context: await lookAgain(begun) };
  return source.type === 'push' ? runPush(looked, adopted) : runPull(looked, source);
}

/** Reads the disk from its source. */
async function runPull(input: Begun, spec: SourceSpec): Promise<BackupOutcome> {
  const { deps, held, io, context } = input;
  const { scratchDir } = io;
  const source = await openSource(spec, { ...deps.sourcePolicy, scratchDir }, io);
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
      const { layer, audit } = await transfer({ ...attempt, ...names, plan: chosen }, source);
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

async function stepDown(attempt: Attempt, plan: BackupPlan, error: unknown): Promise<BackupPlan | undefined> {
  if (isStrataError(error, 'tracker_lied')) return comparedInstead(plan, 'tracker_lied');
  // The export that came back after a lost connection may be another one.
  if (plan.mode === 'changes' && isStrataError(error, 'bitmap_missing'))
    return withoutBitmap(plan, attempt.context.job.request.on_broken_chain);
  return fullInstead(attempt, plan, error);
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

/**
 * Looks again at files that were suspected as a whole: what a mount that did not answer or a writer has made suspect may have
 * passed, and a full is dear. What is still suspect is no parent; nor is what a disk does not give in ranges, which is not
 * found by looking.
 * @returns what the catalogue says afterwards
 * @throws repository_unavailable, lease_lost, database_unavailable, the signal's reason
 */
async function lookAgain(begun: Begun): Promise<BackupContext> {
  const { deps, context } = begun;
  const { job, lineage, lineageBroken } = context;
  const isOpen = lineage.some((layer) => healthOf(layer) === 'suspect' && !isLocated(layer));
  if (!isOpen || job.requestedType === 'full' || lineageBroken) return context;
  await quickLook(begun, context);
  return loadContext(deps.ds, context);
}
