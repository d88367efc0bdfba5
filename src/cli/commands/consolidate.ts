import type { Command } from 'commander';
import type { StrataClient, SyntheticFullPlan } from '../../client/index.js';
import { action, collect, type CommandContext, type Output } from '../command.js';
import { parseDiskId } from '../diskSpec.js';
import { failureOf, followJob } from '../followJob.js';
import type { CliIo } from '../io.js';
import { findVm } from '../lookUp.js';
import { renderConsolidation } from '../render/consolidation.js';
import { finishRemoval } from '../removal.js';

interface Options {
  repo?: string;
  keep?: string[];
  seen?: string;
  dryRun?: true;
  syntheticFull?: true;
  wait?: true;
}

/** `strata consolidate VM DISK` */
export function addConsolidateCommand(program: Command, io: CliIo): void {
  program
    .command('consolidate <vm> [disk]')
    .description('remove the backups of a disk (default: disk 0) that are not to be kept, and merge the rest')
    .option('--keep <backup>', 'a backup to keep; of those completed now the others go (repeatable)', collect)
    .option(
      '--seen <backup>',
      'the newest backup that you have seen: needed where it is not among those to keep',
    )
    .option('--synthetic-full', 'make the latest backup a full instead, without its source')
    .option('--dry-run', 'say what would be done')
    .option('--repo <repository>', 'where several repositories have a VM of this name')
    .option('--wait', 'wait for the end')
    .action(action(io, consolidate));
}

async function consolidate(
  context: CommandContext,
  name: string,
  disk: string | undefined,
  options: Options,
): Promise<Output> {
  const client = await context.client();
  const { signal } = context.io;
  const vm = await findVm(client, name, { repo: options.repo, signal });
  const { id } = await client.vms.chain(vm.vm_context_id, parseDiskId(disk ?? '0'), { signal });
  if (options.syntheticFull) return syntheticFull(context, id, options);
  const body = { dry_run: options.dryRun ?? false, ...(await rest(client, id, options, signal)) };
  const answer = await client.chains.consolidate(id, body, { signal });
  const text = renderConsolidation(answer, context.size);
  return options.wait && !answer.dry_run
    ? finishRemoval(context, client, answer, text)
    : { json: answer, text };
}

/**
 * What is to be kept, and the newest backup as it was seen: by the user, or, where that one is kept, by this look. A backup that
 * completes after the look is then not among the rest that goes.
 */
async function rest(
  client: StrataClient,
  chainId: string,
  { keep, seen }: Options,
  signal: AbortSignal,
): Promise<{ keep?: string[]; expected_latest?: string }> {
  if (keep === undefined) return {};
  if (seen !== undefined) return { keep, expected_latest: seen };
  const { backups } = await client.chains.get(chainId, { signal });
  const latest = backups.filter(({ status }) => status === 'completed').at(-1)?.id;
  return latest !== undefined && keep.includes(latest) ? { keep, expected_latest: latest } : { keep };
}

async function syntheticFull(context: CommandContext, chainId: string, options: Options): Promise<Output> {
  const client = await context.client();
  if (options.dryRun) {
    const plan = await client.chains.planSyntheticFull(chainId, { signal: context.io.signal });
    return { json: plan, text: renderSyntheticFull(plan, context.size) };
  }
  const accepted = await client.chains.syntheticFull(chainId, { signal: context.io.signal });
  if (!options.wait) return { json: accepted, text: `Accepted ${accepted.job_id}.\n` };
  const job = await followJob(context, client, accepted.job_id, `synthetic full of ${chainId}`);
  return { json: job, text: '', failure: failureOf(job) };
}

/** Draws what a synthetic full would do. */
function renderSyntheticFull(
  { backup_id: id, reads, bytes }: SyntheticFullPlan,
  size: (bytes: number) => string,
): string {
  const what =
    reads.length === 0
      ? `${id} is a full already: there is nothing to do.`
      : `${id} becomes a full, of up to ${size(bytes)}. Read are it and ${reads.join(', ')}, which stay.`;
  return `${what}\nThis was a dry run: nothing was changed.\n`;
}
