import { type ErrorCode, isErrorCode, type Job, type StrataClient } from '../client/index.js';
import { StrataError } from '../shared/errors.js';
import type { CommandContext } from './command.js';
import { printable } from './render/printable.js';
import { formatSeconds, secondsBetween } from './render/time.js';

/** Waits for a job and shows how far it is; returns it when it has ended, however it did. */
export async function followJob(
  context: Pick<CommandContext, 'io' | 'progress'>,
  client: StrataClient,
  id: string,
  label: string,
): Promise<Job> {
  const { progress, io } = context;
  const job = await client.waitForJob(id, {
    signal: io.signal,
    onProgress: (seen) => {
      if (seen.status === 'running') progress.update(label, seen.progress);
      else progress.wait(label, whyItWaits(seen));
    },
  });
  progress.finish(label, `${printable(label)}  ${lastLine(job)}`);
  return job;
}

/** Undefined for a job that is about to run: nobody has to know. */
function whyItWaits({ status, error }: Job): string | undefined {
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
