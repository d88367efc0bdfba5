import type { BackupRequest, RequestedType } from '../../entities/index.js';
import { healthOf } from './health.js';
import type { Layer } from './layer.js';
import { byId, lineageOf } from './lineage.js';
import { type BackupPlan, type ParentFacts, planBackup, trackerOf } from './plan.js';

/** What the next backup of a chain may stand on. */
export interface Footing {
  /** The latest backup and what is below it, topmost first; empty until a backup has completed, and where that is broken. */
  lineage: Layer[];
  /** The latest backup stands on one that is not there, or on itself: nothing can be built upon it. */
  lineageBroken: boolean;
  /** The full of the segment, while it is a restore point. */
  segmentFull: Layer | null;
}

/** @param layers every layer of the chain */
export function footingOf(
  layers: readonly Layer[],
  head: { latestBackupId: string | null; fullBackupId: string | null },
): Footing {
  if (head.latestBackupId === null) return { lineage: [], lineageBroken: false, segmentFull: null };
  const { layers: lineage, broken } = lineageOf(byId(layers), head.latestBackupId);
  if (broken !== undefined) return { lineage: [], lineageBroken: true, segmentFull: null };
  const segmentFull = lineage.find(({ id, expired }) => id === head.fullBackupId && !expired) ?? null;
  return { lineage, lineageBroken: false, segmentFull };
}

/** What is asked for, and what of the chain's row counts for it. */
export interface NextBackup {
  requestedType: RequestedType;
  request: Pick<
    BackupRequest,
    'on_broken_chain' | 'has_extents' | 'source' | 'full_every' | 'full_after_days'
  >;
  sinceChangeId: string | null;
  /** The instant of its data. */
  createdAt: Date;
  chain: { trackerDistrust: number; backupsSinceFull: number; fullAt: Date | null };
}

/** What is known of the disk when its backup is planned. */
export interface DiskFacts {
  /** Bytes. */
  virtualSize: number;
  /** Its source does not offer the dirty bitmap that the request names. */
  bitmapMissing: boolean;
  /** How often it has been seen with another size; null where that is not known. */
  sizeChanges: number | null;
}

/** The plan of a chain's next backup. The worker carries it out; the answer to the request foresees it. @throws as planBackup */
export function planNext(
  { requestedType, request, sinceChangeId, createdAt, chain }: NextBackup,
  { lineage, lineageBroken, segmentFull }: Footing,
  disk: DiskFacts,
): BackupPlan {
  const healths = lineage.map(healthOf);
  return planBackup({
    requestedType,
    onBrokenChain: request.on_broken_chain,
    tracker: trackerOf(request),
    trackerDistrusted: chain.trackerDistrust > 0,
    sinceChangeId,
    ...disk,
    segmentFull: segmentFull && toParent(segmentFull),
    latest: lineage[0] ? toParent(lineage[0]) : null,
    damagedBelow: healths.includes('damaged'),
    suspectBelow: healths.includes('suspect'),
    lineageBroken,
    depth: lineage.length,
    fullEvery: request.full_every,
    fullAfterDays: request.full_after_days,
    backupsSinceFull: chain.backupsSinceFull,
    fullAgeMs: chain.fullAt && createdAt.getTime() - chain.fullAt.getTime(),
  });
}

function toParent(layer: Layer): ParentFacts {
  const { id, changeId, virtualSize, sizeChanges } = layer;
  return { id, health: healthOf(layer), changeId, virtualSize, sizeChanges };
}
