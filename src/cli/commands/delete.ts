import type { Command } from 'commander';
import type { Consolidation, ContentRemovalQuery, StrataClient } from '../../client/index.js';
import { StrataError } from '../../shared/errors.js';
import { action, type CommandContext, type Output } from '../command.js';
import { checkId } from '../idArgument.js';
import { refuseIdle } from '../idleOptions.js';
import type { CliIo } from '../io.js';
import { findRepository, findVm } from '../lookUp.js';
import { finishRemoval } from '../removal.js';
import { renderConsolidation } from '../render/consolidation.js';

interface Options {
  dryRun?: true;
  wait?: true;
  repo?: string;
  allOfVm?: true;
  allOfRepo?: true;
  yes?: true;
  seen?: string;
}

/** `strata delete BACKUP`, `strata delete RESTORE-POINT`, and all backups of a VM or a repository */
export function addDeleteCommand(program: Command, io: CliIo): void {
  program
    .command('delete <what>')
    .description(
      'remove a restore point (rp_...: all its disks) or one backup (bkp_...), merging where others stand on it',
    )
    .option(
      '--all-of-vm',
      '<what> is a VM: remove all its backups, and retire its disks, so that nothing backs them up any more',
    )
    .option('--all-of-repo', '<what> is a repository: remove all backups in it')
    .option('--repo <repository>', 'where several repositories have a VM of this name')
    .option('--dry-run', 'say what would be done')
    .option('--yes', 'needed for all backups of a VM or a repository')
    .option(
      '--seen <backup>',
      'with all backups: the newest that you have seen; refused where another has completed since',
    )
    .option('--wait', 'wait for the end')
    .action(action(io, remove));
}

async function remove(context: CommandContext, what: string, options: Options): Promise<Output> {
  const client = await context.client();
  const many = options.allOfVm || options.allOfRepo;
  checkOptions(options);
  if (many && !options.yes && !options.dryRun) {
    const retires = options.allOfVm ? ' and retires its disks, so that nothing backs them up any more' : '';
    const message = `That removes every backup${retires}: say --yes, or look with --dry-run.`;
    throw new StrataError('invalid_request', message, { field: '--yes' });
  }
  const answer = await ask(client, what, options, context.io.signal);
  const text = renderConsolidation(answer, context.size);
  return options.wait && !answer.dry_run
    ? finishRemoval(context, client, answer, text)
    : { json: answer, text };
}

function checkOptions({ allOfVm, allOfRepo, repo, yes, wait, dryRun }: Options): void {
  if (allOfVm && allOfRepo)
    throw new StrataError('invalid_request', 'Either --all-of-vm or --all-of-repo.', {
      field: '--all-of-vm',
    });
  if (!allOfVm) refuseIdle(repo, '--repo', 'it tells VMs of one name apart, and goes with --all-of-vm');
  if (!allOfVm && !allOfRepo) refuseIdle(yes, '--yes', 'it goes with --all-of-vm and --all-of-repo');
  if (dryRun) refuseIdle(wait, '--wait', '--dry-run does nothing that takes time');
}

async function ask(
  client: StrataClient,
  what: string,
  options: Options,
  signal: AbortSignal,
): Promise<Consolidation> {
  const query = { dry_run: options.dryRun ?? false };
  if (options.allOfRepo) {
    const { id } = await findRepository(client, what, signal);
    return allSeen(options, (all) => client.repositories.removeBackups(id, all, { signal }));
  }
  if (options.allOfVm) {
    const { vm_context_id } = await findVm(client, what, { repo: options.repo, signal });
    return allSeen(options, (all) => client.vms.removeBackups(vm_context_id, all, { signal }));
  }
  checkId(what, 'what', ['restorePoint', 'backup'], 'All of a VM go with --all-of-vm.');
  return what.startsWith('rp_')
    ? client.restorePoints.remove(what, query, { signal })
    : client.backups.remove(what, query, { signal });
}

/** "All" is what was seen: by the user, or by a look of this command. */
async function allSeen(
  { dryRun, seen }: Options,
  remove: (query: ContentRemovalQuery) => Promise<Consolidation>,
): Promise<Consolidation> {
  const look = dryRun || seen === undefined ? await remove({ dry_run: true }) : undefined;
  if (look && dryRun) return look;
  const expected = seen ?? look?.latest_backup_id ?? undefined;
  return remove({ dry_run: false, ...(expected === undefined ? {} : { expected_latest: expected }) });
}
