import type { DataSource } from '../../db/database.js';
import { writeProgress } from '../../db/job/journal.js';
import type { ChainLease } from '../../db/job/lease.js';
import type { Clock } from '../../shared/clock.js';
import type { ReportProgress } from '../deps.js';

const WRITE_EVERY_MS = 500;

/**
 * Thins reports out to two a second, adds rate and estimate, and writes them to the job's row. Progress is a courtesy:
 * a write that fails is told to `onError` and does not fail the job.
 */
export function createProgressReporter(options: {
  ds: DataSource;
  clock: Clock;
  lease: ChainLease;
  onError: (error: unknown) => void;
}): { report: ReportProgress; lastWrite: () => Promise<void> } {
  const { ds, clock, lease, onError } = options;
  let phase = '';
  let phaseBegan = 0;
  let doneBefore = 0;
  let lastWrite = Number.NEGATIVE_INFINITY;
  let writing: Promise<void> = Promise.resolve();
  let busy = false;
  const report: ReportProgress = (progress) => {
    const now = clock.monotonicMs();
    if (progress.phase !== phase) {
      phase = progress.phase;
      phaseBegan = now;
      doneBefore = progress.bytes_done;
      lastWrite = Number.NEGATIVE_INFINITY;
    }
    if (busy || now - lastWrite < WRITE_EVERY_MS) return;
    lastWrite = now;
    const seconds = (now - phaseBegan) / 1000;
    const rate = seconds > 0.2 ? Math.round((progress.bytes_done - doneBefore) / seconds) : null;
    const left = progress.bytes_total === null ? null : progress.bytes_total - progress.bytes_done;
    const eta = rate && left !== null ? Math.ceil(left / rate) : null;
    busy = true;
    writing = writeProgress(ds, lease, { ...progress, rate, eta_seconds: eta })
      .catch(onError)
      .finally(() => {
        busy = false;
      });
  };
  return { report, lastWrite: () => writing };
}
