import type { Command } from 'commander';
import { allItems, type RestorePoint } from '../../client/index.js';
import { action, type CommandContext, type Output } from '../command.js';
import type { CliIo } from '../io.js';
import { findVm } from '../lookUp.js';
import { parseCount } from '../numbers.js';
import { renderTable } from '../render/table.js';
import { formatTime } from '../render/time.js';

/** `strata points VM` */
export function addPointsCommand(program: Command, io: CliIo): void {
  program
    .command('points <vm>')
    .description('list the restore points of a VM: all its disks at one instant')
    .option('--repo <repository>', 'where several repositories have a VM of this name')
    .option('--limit <n>', 'at most so many', parseCount, 50)
    .action(action(io, listPoints));
}

async function listPoints(
  context: CommandContext,
  name: string,
  options: { repo?: string; limit: number },
): Promise<Output> {
  const client = await context.client();
  const { signal } = context.io;
  const vm = await findVm(client, name, { repo: options.repo, signal });
  const query = { vm_context_id: vm.vm_context_id };
  const items = await allItems(
    (page) => client.restorePoints.list({ ...query, ...page }, { signal }),
    options.limit,
  );
  const columns = [
    { title: 'RESTORE POINT', value: (row: RestorePoint) => row.id },
    { title: 'TYPE', value: (row: RestorePoint) => row.type },
    { title: 'STATUS', value: (row: RestorePoint) => row.status },
    { title: 'CONSISTENCY', value: (row: RestorePoint) => row.consistency },
    { title: 'MISSING DISKS', value: (row: RestorePoint) => row.missing_disks, align: 'right' as const },
    { title: 'CREATED', value: (row: RestorePoint) => formatTime(row.created_at) },
    { title: 'COMPLETED', value: (row: RestorePoint) => formatTime(row.completed_at) },
  ];
  return { json: { items }, text: renderTable(columns, items, 'No restore points.') };
}
