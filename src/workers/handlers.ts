import type { JobKind } from '../shared/jobs.js';
import { runBackup } from '../services/backup/run.js';
import type { HeldLease } from '../services/job/holdLease.js';
import { maintenanceType, type MaintenanceType } from '../services/job/maintenanceType.js';
import { runConsolidation, runSyntheticFull, settleSwitch } from '../services/consolidation/index.js';
import type { Outcome, ReportProgress, ServiceDeps } from '../services/deps.js';
import { runRebuild } from '../services/rebuild/index.js';
import { runReconcile } from '../services/reconcile/index.js';
import { runRestore } from '../services/restore/index.js';
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

type Handler = (
  deps: ServiceDeps,
  held: HeldLease,
  jobId: string,
  report: ReportProgress,
) => Promise<HandlerOutcome>;

/** One service per type of maintenance job. */
const MAINTENANCE: Record<
  MaintenanceType,
  (...args: Parameters<Handler>) => Promise<Pick<HandlerOutcome, 'next' | 'validation'>>
> = {
  validate: runValidation,
  reconcile: runReconcile,
  consolidate: (...args) => runConsolidation(...args),
  synthetic_full: runSyntheticFull,
  rebuild: runRebuild,
};

/** Does its work after what a dead worker may have left half switched on the chain: nobody else meets a row that differs from its file. */
function afterSwitch(work: Handler): Handler {
  return async (deps, held, jobId, report) => {
    await settleSwitch(deps, held);
    return work(deps, held, jobId, report);
  };
}

/** One handler per kind of work; the compiler sees to it that none is missing. */
export type Handlers = Record<JobKind, Handler>;

export const HANDLERS: Handlers = {
  backup: afterSwitch(async (deps, held, jobId, report) => {
    const { backup, audited, ...outcome } = await runBackup(deps, held, jobId, report);
    return {
      ...outcome,
      type: backup.backupType,
      bytes: backup.bytesTransferred,
      demotedReason: backup.demotedReason,
      tracker: backup.tracker,
      audited: audited ?? 0,
    };
  }),
  maintenance: afterSwitch(async (deps, held, jobId, report) => {
    const type = await maintenanceType(deps.ds, jobId);
    const outcome = await MAINTENANCE[type](deps, held, jobId, report);
    return { ...outcome, type, bytes: 0, demotedReason: null };
  }),
  restore: afterSwitch(async (deps, held, jobId, report) => {
    const { next } = await runRestore(deps, held, jobId, report);
    return { next, type: 'restore', bytes: 0, demotedReason: null };
  }),
};
