import type { BackupContext } from './context.js';
import { type BackupPlan, planBackup, trackerOf } from './plan.js';

/** The plan of a job, by the catalogue as it is under the lease. @throws as planBackup */
export function planJob(context: BackupContext, virtualSize: number): BackupPlan {
  const { job, chain, restorePoint } = context;
  return planBackup({
    requestedType: job.requestedType,
    onBrokenChain: job.request.on_broken_chain,
    tracker: trackerOf(job.request),
    trackerDistrusted: chain.trackerDistrust > 0,
    sinceChangeId: job.sinceChangeId,
    virtualSize: virtualSize,
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
