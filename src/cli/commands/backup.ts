import { type Command, Option } from 'commander';
import type {
  Backup,
  BackupAccepted,
  BackupCreate,
  StrataClient,
  Vm,
  WrittenExtents,
} from '../../client/index.js';
import { type BackupFlags, diskRequests } from '../backupDisks.js';
import { action, collect, type CommandContext, type Output } from '../command.js';
import { failureOf, followJob } from '../followJob.js';
import type { CliIo } from '../io.js';
import { jobLimits, type JobLimits } from '../jobLimits.js';
import { refuseIdle } from '../idleOptions.js';
import { findVm } from '../lookUp.js';
import { parseCount, parseSize } from '../numbers.js';
import { FORCE_SHARE_HELP } from '../diskSpec.js';
import { readExtentFile } from '../extentFile.js';
import { backupsTable } from '../render/backups.js';
import { renderTable } from '../render/table.js';
import { renderWarnings } from '../render/warnings.js';
import { verifyOption } from '../verifyOption.js';

interface Options extends BackupFlags, JobLimits {
  type: BackupCreate['backup_type'];
  repo?: string;
  onBrokenChain?: 'full' | 'fail';
  fullEvery?: number;
  fullAfterDays?: number;
  verify?: NonNullable<BackupCreate['verify']>;
  wait?: true;
}

/** `strata backup VM` */
export function addBackupCommand(program: Command, io: CliIo): void {
  const types = ['full', 'incremental', 'differential', 'auto'];
  program
    .command('backup <vm>')
    .description('back up a VM: all its disks, or those that are named')
    .addOption(new Option('--type <type>', 'kind of backup').choices(types).default('auto'))
    .option('--repo <repository>', 'repository, by name or id; needed for a VM that is not registered')
    .option('--disk <id>', 'only this disk; repeat for more', collect)
    .option('--source <[id=]source>', 'read the disk from here: a path or an NBD URI', collect)
    .option('--format <format>', 'format of the image files, where the extension does not tell')
    .option('--force-share', FORCE_SHARE_HELP)
    .option(
      '--bitmap <name>',
      'dirty bitmap of the NBD sources: those of --source, and the registered ones of --disk',
    )
    .option('--change-id <id>', "the upstream's change id of the disk's state now")
    .option('--since-change-id <id>', 'the change id that the change list begins at')
    .option('--changed-extents <file>', 'change list: JSON [{offset, length}], or lines of "offset length"')
    .addOption(
      new Option('--on-broken-chain <what>', 'what an increment without a usable parent becomes').choices([
        'full',
        'fail',
      ]),
    )
    .option('--full-every <n>', 'with --type auto: every n-th backup is a full', parseCount)
    .option('--full-after-days <n>', 'with --type auto: a full when the last one is n days old', parseCount)
    .addOption(verifyOption())
    .option('--max-bytes-per-second <size>', 'bandwidth of each disk, such as 50MiB', parseSize)
    .option('--deadline <seconds>', 'fail if it has not ended so long after its start', parseCount)
    .option('--wait', 'wait for the end and show progress')
    .action(action(io, backUp));
}

async function backUp(context: CommandContext, name: string, options: Options): Promise<Output> {
  if (options.type === 'full') refuseWithFull(options);
  const client = await context.client();
  const list =
    options.changedExtents === undefined ? undefined : await readExtentFile(options.changedExtents);
  const vm = await findRegistered(client, name, options, context.io.signal);
  const disks = diskRequests(options, list, vm?.disks);
  const body: BackupCreate = {
    vm_name: vm?.vm_name ?? name,
    repository_id: vm?.repository_id ?? options.repo ?? '',
    ...(vm?.upstream_id ? { upstream_id: vm.upstream_id } : {}),
    backup_type: options.type,
    ...(disks.length === 0 ? {} : { disks }),
    ...(options.onBrokenChain === undefined ? {} : { on_broken_chain: options.onBrokenChain }),
    ...(options.fullEvery === undefined ? {} : { full_every: options.fullEvery }),
    ...(options.fullAfterDays === undefined ? {} : { full_after_days: options.fullAfterDays }),
    ...(options.verify === undefined ? {} : { verify: options.verify }),
    ...jobLimits(options),
  };
  const accepted = await client.backups.create(body, { signal: context.io.signal });
  if (list && 'follow' in list) await sendExtents(client, accepted, list.follow, context.io.signal);
  if (!options.wait) return { json: accepted, text: renderAccepted(accepted, body.vm_name) };
  return waitForAll(context, client, accepted, body.vm_name);
}

/** An upstream may always say what has changed; a person who types it means it. */
function refuseWithFull({ bitmap, sinceChangeId, changedExtents, onBrokenChain }: Options): void {
  const why = 'a full reads the whole disk';
  refuseIdle(bitmap, '--bitmap', why);
  refuseIdle(sinceChangeId, '--since-change-id', why);
  refuseIdle(changedExtents, '--changed-extents', why);
  refuseIdle(onBrokenChain, '--on-broken-chain', 'a full stands on no chain');
}

/** A list belongs to one disk. If it cannot be sent, the backup must not keep its chain waiting for it. */
async function sendExtents(
  client: StrataClient,
  { disk_results }: BackupAccepted,
  list: WrittenExtents,
  signal: AbortSignal,
): Promise<void> {
  const waiting = disk_results.find(({ awaits_extents }) => awaits_extents);
  if (!waiting) return;
  try {
    await client.backups.putExtentList(waiting.backup_id, list, { signal });
  } catch (error) {
    // Why it could not be sent is what the user must know; an API that is away will end the backup by its deadline.
    await client.backups.cancel(waiting.backup_id).catch(() => undefined);
    throw error;
  }
}

/** A VM that is not registered may be backed up, too, if the repository and the sources are given. */
async function findRegistered(
  client: StrataClient,
  name: string,
  options: Options,
  signal: AbortSignal,
): Promise<Vm | undefined> {
  if (options.repo !== undefined && options.source !== undefined) {
    const { items } = await client.vms.list({ vm_name: name, repository_id: options.repo }, { signal });
    if (items.length === 0) return undefined;
  }
  return findVm(client, name, { repo: options.repo, signal });
}

async function waitForAll(
  context: CommandContext,
  client: StrataClient,
  accepted: BackupAccepted,
  vmName: string,
): Promise<Output> {
  const { signal } = context.io;
  const jobs = await Promise.all(
    accepted.disk_results.map((disk) =>
      followJob(context, client, disk.backup_id, `${vmName} disk ${disk.disk_id}`),
    ),
  );
  const backups: Backup[] = await Promise.all(jobs.map((job) => client.backups.get(job.id, { signal })));
  return {
    json: { restore_point_id: accepted.restore_point_id, vm_context_id: accepted.vm_context_id, backups },
    text: backupsTable(backups, context.size) + renderWarnings(accepted),
    failure: jobs.map(failureOf).find((failure) => failure !== undefined),
  };
}

function renderAccepted(accepted: BackupAccepted, vmName: string): string {
  type Row = BackupAccepted['disk_results'][number];
  const columns = [
    { title: 'DISK', value: (row: Row) => row.disk_id, align: 'right' as const },
    { title: 'BACKUP', value: (row: Row) => row.backup_id },
    { title: 'STATUS', value: (row: Row) => row.status },
    { title: 'TYPE', value: (row: Row) => row.backup_type },
    { title: 'BECAUSE', value: (row: Row) => row.demoted_reason },
  ];
  const table = renderTable(columns, accepted.disk_results, 'No disks.');
  return `Accepted restore point ${accepted.restore_point_id} of ${vmName}.\n${table}${renderWarnings(accepted)}`;
}
