import type { QueueKind } from '../queue/catalogue.js';
import { runBackup } from '../services/backup/run.js';
import type { HeldLease } from '../services/chain/holdLease.js';
import { maintenanceType, type MaintenanceType } from '../services/chain/maintenanceType.js';
import type { Outcome, ReportProgress, ServiceDeps } from '../services/deps.js';
import { runReconcile } from '../services/repository/reconcile/index.js';
import { runRestore } from '../services/restore/index.js';
import { runValidation } from '../services/validation/index.js';

/** What a handler adds to the log line and the metrics of a completed job. */
export interface HandlerOutcome extends Outcome {
  type: string;
  bytes: number;
  demotedReason: string | null;
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
  (...args: Parameters<Handler>) => Promise<Pick<HandlerOutcome, 'next'>>
> = {
  validate: runValidation,
  reconcile: runReconcile,
};

/** One handler per kind of work; the compiler sees to it that none is missing. */
export type Handlers = Record<QueueKind, Handler>;

export const HANDLERS: Handlers = {
  backup: async (deps, held, jobId, report) => {
    const { backup, ...outcome } = await runBackup(deps, held, jobId, report);
    return {
      ...outcome,
      type: backup.backupType,
      bytes: backup.bytesTransferred,
      demotedReason: backup.demotedReason,
    };
  },
  maintenance: async (deps, held, jobId, report) => {
    const type = await maintenanceType(deps.ds, jobId);
    const { next } = await MAINTENANCE[type](deps, held, jobId, report);
    return { next, type, bytes: 0, demotedReason: null };
  },
  restore: async (deps, held, jobId, report) => {
    const { next } = await runRestore(deps, held, jobId, report);
    return { next, type: 'restore', bytes: 0, demotedReason: null };
  },
};
