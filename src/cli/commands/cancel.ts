import type { Command } from 'commander';
import { action, type CommandContext, type Output } from '../command.js';
import { checkId } from '../idArgument.js';
import type { CliIo } from '../io.js';

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
