import { type Command, Option } from 'commander';
import { allItems, type BackupQuery } from '../../client/index.js';
import { JOB_STATES } from '../../shared/jobs.js';
import { action, type CommandContext, type Output } from '../command.js';
import { parseDiskId } from '../diskSpec.js';
import type { CliIo } from '../io.js';
import { parseCount } from '../numbers.js';
import { backupsTable } from '../render/backups.js';

interface Options {
  vm?: string;
  repo?: string;
  disk?: string;
  status?: NonNullable<BackupQuery['status']>;
  type?: NonNullable<BackupQuery['backup_type']>;
  limit: number;
}

/** `strata list` */
export function addListCommand(program: Command, io: CliIo): void {
  program
    .command('list')
    .description('list backups, the newest first')
    .option('--vm <name>', 'of this VM')
    .option('--repo <repository>', 'in this repository, by name or id')
    .option('--disk <id>', 'of this disk')
    .addOption(new Option('--status <status>', 'in this state').choices(JOB_STATES))
    .addOption(new Option('--type <type>', 'of this type').choices(['full', 'incremental', 'differential']))
    .option('--limit <n>', 'at most so many', parseCount, 50)
    .action(action(io, listBackups));
}

async function listBackups(context: CommandContext, options: Options): Promise<Output> {
  const client = await context.client();
  const query: BackupQuery = {
    ...(options.vm === undefined ? {} : { vm_name: options.vm }),
    ...(options.repo === undefined ? {} : { repository_id: options.repo }),
    ...(options.disk === undefined ? {} : { disk_id: parseDiskId(options.disk) }),
    ...(options.status === undefined ? {} : { status: options.status }),
    ...(options.type === undefined ? {} : { backup_type: options.type }),
  };
  const { signal } = context.io;
  // One more than wanted tells whether there are more.
  const found = await allItems(
    (page) => client.backups.list({ ...query, ...page }, { signal }),
    options.limit + 1,
  );
  const items = found.slice(0, options.limit);
  const more = found.length > items.length;
  const note = more ? `There are more; --limit shows them.\n` : '';
  return { json: { items, more }, text: backupsTable(items, context.size) + note };
}
