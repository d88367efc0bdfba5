import type { Command } from 'commander';
import type { RebuildReport } from '../../client/index.js';
import { action, type CommandContext, type Output } from '../command.js';
import { failureOf, followJob } from '../followJob.js';
import type { CliIo } from '../io.js';
import { findRepository } from '../lookUp.js';
import { renderRebuild, renderReconcile } from '../render/upkeep.js';

interface Options {
  dryRun?: true;
}

/** `strata repo reconcile` and `strata repo rebuild` */
export function addUpkeepCommands(repo: Command, io: CliIo): void {
  repo
    .command('reconcile <repository>')
    .description(
      'compare catalogue and files: set unknown files aside, write lost manifests anew, mark backups whose image is gone',
    )
    .option('--dry-run', 'say what would be done')
    .action(action(io, reconcile));
  repo
    .command('rebuild <repository>')
    .description(
      'take backups whose files are there, and which the catalogue does not know, into the catalogue',
    )
    .option('--dry-run', 'say what would be done')
    .option('--no-wait', 'do not wait for the end of the job')
    .action(action(io, rebuild));
}

async function reconcile(context: CommandContext, idOrName: string, options: Options): Promise<Output> {
  const client = await context.client();
  const { signal } = context.io;
  const { id } = await findRepository(client, idOrName, signal);
  const report = await client.repositories.reconcile(id, { dry_run: options.dryRun ?? false }, { signal });
  return { json: report, text: renderReconcile(report, context.size) };
}

async function rebuild(
  context: CommandContext,
  idOrName: string,
  options: Options & { wait: boolean },
): Promise<Output> {
  const client = await context.client();
  const { signal } = context.io;
  const { id, name } = await findRepository(client, idOrName, signal);
  const accepted = await client.repositories.rebuild(id, { dry_run: options.dryRun ?? false }, { signal });
  const { job_id: jobId } = accepted;
  if (!options.wait)
    return { json: accepted, text: `Accepted the rebuild of repository ${name}: ${jobId}.\n` };
  const job = await followJob(context, client, jobId, `rebuild of ${name}`);
  const failure = failureOf(job);
  if (failure || job.result === null) return { json: job, text: '', failure };
  return { json: job.result, text: renderRebuild(job.result as RebuildReport) };
}
