import { type ErrorCode, isErrorCode, type Job, type StrataClient } from '../client/index.js';
import { StrataError } from '../shared/errors.js';
import type { CommandContext } from './command.js';
import type { CliIo } from './io.js';
import { printable } from './render/printable.js';
import { waitingText } from './render/waiting.js';
import { formatSeconds, secondsBetween } from './render/time.js';

/** Waits for a job and shows how far it is; returns it when it has ended, however it did. */
export async function followJob(
  context: Pick<CommandContext, 'io' | 'progress'>,
  client: StrataClient,
  id: string,
  label: string,
): Promise<Job> {
  const { progress, io } = context;
  const why = reasonTeller(io.clock);
  const job = await client.waitForJob(id, {
    signal: io.signal,
    onProgress: (seen) => {
      const reason = why(seen);
      if (seen.status === 'running' && reason === undefined) progress.update(label, seen.progress);
      else progress.wait(label, reason);
    },
  });
  progress.finish(label, `${printable(label)}  ${lastLine(job)}`);
  return job;
}

/** A free worker is there within moments: whoever waits need not be told before. */
const WORKER_MS = 5_000;

/** Tells for what or whom a job waits; undefined for one that is about to run. */
function reasonTeller(clock: CliIo['clock']): (job: Job) => string | undefined {
  let workerSince: number | undefined;
  return (job) => {
    const { waiting_for: waiting } = job;
    if (waiting === undefined) return ofOlderApi(job);
    if (waiting?.reason !== 'worker') workerSince = undefined;
    if (!waiting) return undefined;
    if (waiting.reason === 'worker') {
      workerSince ??= clock.monotonicMs();
      if (clock.monotonicMs() - workerSince < WORKER_MS) return undefined;
    }
    return waitingText(waiting);
  };
}

/** An API from before a job said what it waits for. */
function ofOlderApi({ status, error }: Job): string | undefined {
  if (status === 'queued') return 'for the jobs before it on its chain';
  return status === 'released' && error ? `${printable(error.detail ?? '')} [${error.code}]` : undefined;
}

function lastLine(job: Job): string {
  const seconds = formatSeconds(secondsBetween(job.started_at, job.completed_at));
  if (job.status === 'completed') return `completed in ${seconds}`;
  const why = job.error ? `: ${printable(job.error.detail ?? '')} [${job.error.code}]` : '';
  return `${job.status}${why}`;
}

/** The error of a job that did not complete; undefined for one that did. */
export function failureOf(job: Pick<Job, 'id' | 'status' | 'error'>): StrataError | undefined {
  if (job.status === 'completed') return undefined;
  const fallback: ErrorCode = job.status === 'cancelled' ? 'cancelled' : 'internal';
  const code = job.error?.code;
  const detail = job.error?.detail ?? `It is ${job.status}.`;
  return new StrataError(isErrorCode(code) ? code : fallback, `${job.id}: ${detail}`);
}
