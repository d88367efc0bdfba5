import type { Consolidation, Job, StrataClient } from '../client/index.js';
import type { CommandContext, Output } from './command.js';
import { failureOf, followJob } from './followJob.js';

/** Waits for the jobs of a removal; the first that failed decides the exit code. */
export async function finishRemoval(
  context: CommandContext,
  client: StrataClient,
  answer: Consolidation,
  text: string,
): Promise<Output> {
  const jobs: Job[] = [];
  for (const { chain_id, job } of answer.chains) {
    if (job) jobs.push(await followJob(context, client, job.job_id, `consolidation of ${chain_id}`));
  }
  const failure = jobs.map(failureOf).find((error) => error !== undefined);
  return { json: { ...answer, jobs }, text: text + jobs.map((job) => freed(job, context)).join(''), failure };
}

/** Free room before and after, as the job has measured it. */
function freed({ id, result }: Job, { size }: CommandContext): string {
  const { available_before: before, available_after: after } = result ?? {};
  if (typeof before !== 'number' || typeof after !== 'number') return '';
  return `${id}: ${size(before)} were free before, ${size(after)} are now.\n`;
}
