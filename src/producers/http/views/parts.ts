import type { JobError, Progress, WaitingFor } from '../../../contract/index.js';
import type { WaitingFor as Waiting } from '../../../db/job/waitingFor.js';
import type { JobProgress } from '../../../entities/index.js';

/** ISO 8601, UTC, or null. */
export function iso(time: Date | null): string | null {
  return time === null ? null : time.toISOString();
}

/** What a worker wrote, as the contract has it. */
export function toProgress(progress: JobProgress | null): Progress | null {
  if (progress === null) return null;
  const { phase, bytes_done, bytes_total, rate, eta_seconds } = progress;
  return {
    phase,
    bytes_done,
    bytes_total: bytes_total ?? null,
    rate: rate ?? null,
    eta_seconds: eta_seconds ?? null,
  };
}

export function toJobError(code: string | null, detail: string | null): JobError | null {
  return code === null ? null : { code, detail };
}

export function toWaitingFor(waiting: Waiting | undefined): WaitingFor | null {
  if (!waiting) return null;
  const { reason, detail, jobId, until } = waiting;
  return { reason, detail, job_id: jobId, until: iso(until) };
}
