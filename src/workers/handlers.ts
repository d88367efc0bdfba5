import type { JobKind } from '../shared/jobs.js';
import { runBackup } from '../services/backup/run.js';
import { maintenanceType, type MaintenanceType } from '../services/job/openPlace.js';
import { runConsolidation, runSyntheticFull, finishHalfSwitch } from '../services/consolidation/index.js';
import type { Under } from '../services/job/under.js';
import type { Outcome, ServiceDeps } from '../services/deps.js';
import { runRebuild } from '../services/rebuild/run.js';
import { runReconcile } from '../services/reconcile/index.js';
import { runRestore } from '../services/restore/run.js';
import { runValidation, type ValidationSummary } from '../services/validation/index.js';

/** What a handler adds to the log line and the metrics of a completed job. */
export interface HandlerOutcome extends Outcome {
  type: string;
  bytes: number;
  demotedReason: string | null;
  validation?: ValidationSummary;
  /** What told a backup what had changed, and how many blocks an audit of it has compared. */
  tracker?: string | null;
  audited?: number;
}

type Handler = (under: Under<ServiceDeps>) => Promise<HandlerOutcome>;

/** One service per type of maintenance job. */
const MAINTENANCE: Record<
  MaintenanceType,
  (...args: Parameters<Handler>) => Promise<Pick<HandlerOutcome, 'next' | 'validation'>>
> = {
  validate: runValidation,
  reconcile: runReconcile,
  consolidate: (under) => runConsolidation(under),
  synthetic_full: runSyntheticFull,
  rebuild: runRebuild,
};

/** Does its work after what a dead worker may have left half switched on the chain: nobody else meets a row that differs from its file. */
function afterSwitch(work: Handler): Handler {
  return async (under) => {
    await finishHalfSwitch(under);
    return work(under);
  };
}

/** One handler per kind of work; the compiler sees to it that none is missing. */
export type Handlers = Record<JobKind, Handler>;

export const HANDLERS: Handlers = {
  backup: afterSwitch(async (under) => {
    const { backup, audited, ...outcome } = await runBackup(under);
    return {
      ...outcome,
      type: backup.backupType,
      bytes: backup.bytesTransferred,
      demotedReason: backup.demotedReason,
      tracker: backup.tracker,
      audited: audited ?? 0,
    };
  }),
  maintenance: afterSwitch(async (under) => {
    const type = await maintenanceType(under.deps.ds, under.held.lease.jobId);
    const outcome = await MAINTENANCE[type](under);
    return { ...outcome, type, bytes: 0, demotedReason: null };
  }),
  restore: afterSwitch(async (under) => {
    const { next } = await runRestore(under);
    return { next, type: 'restore', bytes: 0, demotedReason: null };
  }),
};
