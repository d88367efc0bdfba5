import type { Command } from 'commander';
import type { Job, RebuildReport } from '../../client/index.js';
import { action, type CommandContext, type Output } from '../command.js';
import { failureOf, followJob } from '../followJob.js';
import { checkId } from '../idArgument.js';
import type { CliIo } from '../io.js';
import { renderPlain } from '../render/progressLine.js';
import { renderRebuild } from '../render/upkeep.js';
import { renderFields } from '../render/table.js';
import { formatTime } from '../render/time.js';
import { waitingField } from '../render/waiting.js';
import { renderValidation } from '../render/validation.js';

/** `strata job ID` */
export function addJobCommand(program: Command, io: CliIo): void {
  program
    .command('job <id>')
    .description('show a job of any kind')
    .option('--follow', 'wait for its end and show progress')
    .action(action(io, showJob));
}

async function showJob(context: CommandContext, id: string, options: { follow?: true }): Promise<Output> {
  checkId(id, 'job', ['backup', 'restore', 'maintenance']);
  const client = await context.client();
  if (!options.follow) {
    const job = await client.jobs.get(id, { signal: context.io.signal });
    return { json: job, text: renderOne(context, job) };
  }
  const job = await followJob(context, client, id, id);
  return { json: job, text: renderOne(context, job), failure: failureOf(job) };
}

/** The reports of a validation and a rebuild have drawings of their own. */
function renderOne({ size }: CommandContext, job: Job): string {
  const report = drawReport(job, size);
  return report === undefined ? renderJob(job) : `${renderJob({ ...job, result: null })}\n${report}`;
}

function drawReport(job: Job, size: CommandContext['size']): string | undefined {
  if (job.result === null) return undefined;
  if (job.type === 'rebuild') return renderRebuild(job.result as RebuildReport);
  return job.type === 'validate' ? renderValidation(job, size) : undefined;
}

/** Draws a job. */
export function renderJob(job: Job): string {
  return renderFields([
    ['id', job.id],
    ['kind', `${job.kind} (${job.type})`],
    ...(job.chain_id === null
      ? [['repository', job.repository_id] as const]
      : [['vm', `${job.vm_name} disk ${job.disk_id}`] as const, ['chain', job.chain_id] as const]),
    ['status', job.cancel_requested && job.status === 'running' ? 'running, being cancelled' : job.status],
    // What an attempt that has ended reported last says nothing any more.
    ['progress', job.progress && job.status === 'running' ? renderPlain('', job.progress).trim() : null],
    ['waits for', waitingField(job.waiting_for)],
    ['error', job.error ? `${job.error.detail ?? ''} [${job.error.code}]` : null],
    ['attempts', job.attempts],
    ['accepted', formatTime(job.created_at)],
    ['started', formatTime(job.started_at)],
    ['ended', formatTime(job.completed_at)],
    ['result', job.result ? JSON.stringify(job.result) : null],
  ]);
}

/** `strata cancel JOB` */
export function addCancelCommand(program: Command, io: CliIo): void {
  program
    .command('cancel <job>')
    .description('cancel a backup (bkp_...), a restore (rst_...) or maintenance (mnt_...)')
    .action(action(io, cancel));
}

async function cancel(context: CommandContext, id: string): Promise<Output> {
  checkId(id, 'job', ['backup', 'restore', 'maintenance']);
  const client = await context.client();
  const result = await client.jobs.cancel(id, { signal: context.io.signal });
  const text = result.accepted
    ? `${result.id} is ${result.status === 'running' ? 'being cancelled' : result.status}.\n`
    : `${result.id} had ended already: it is ${result.status}.\n`;
  return { json: result, text };
}
