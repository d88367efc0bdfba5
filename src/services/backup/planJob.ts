import type { BackupContext } from './context.js';
import { type BackupPlan, planBackup, trackerOf } from './plan.js';

/** What is known of the disk when its backup is planned. */
export interface DiskFacts {
  /** Bytes. */
  virtualSize: number;
  /** Its source does not offer the dirty bitmap that the request names. */
  bitmapMissing: boolean;
  /** How often it has been seen with another size; null where that is not known. */
  sizeChanges: number | null;
}

/** The plan of a job, by the catalogue as it is under the lease. @throws as planBackup */
export function planJob(
  context: BackupContext,
  { virtualSize, bitmapMissing, sizeChanges }: DiskFacts,
): BackupPlan {
  const { job, chain, restorePoint } = context;
  return planBackup({
    requestedType: job.requestedType,
    onBrokenChain: job.request.on_broken_chain,
    tracker: trackerOf(job.request),
    trackerDistrusted: chain.trackerDistrust > 0,
    sinceChangeId: job.sinceChangeId,
    bitmapMissing,
    virtualSize,
    sizeChanges,
    segmentFull: context.segmentFull,
    latest: context.lineage[0] ?? null,
    damagedBelow: context.lineage.some((layer) => layer.health === 'damaged'),
    suspectBelow: context.lineage.some((layer) => layer.health === 'suspect'),
    lineageBroken: context.lineageBroken,
    depth: context.lineage.length,
    fullEvery: job.request.full_every,
    fullAfterDays: job.request.full_after_days,
    backupsSinceFull: chain.backupsSinceFull,
    fullAgeMs: chain.fullAt && restorePoint.createdAt.getTime() - chain.fullAt.getTime(),
  });
}
