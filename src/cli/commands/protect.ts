// One file for each command; program.ts puts them together.
import type { Command } from 'commander';
import { StrataError } from '../../shared/errors.js';
import { action, type CommandContext, type Output } from '../command.js';
import { checkId } from '../idArgument.js';
import type { CliIo } from '../io.js';
import { parseTime } from '../parseTime.js';
import { formatTime } from '../render/time.js';

interface Options {
  until?: string;
  none?: true;
}

/** `strata protect RESTORE-POINT|BACKUP --until TIME` */
export function addProtectCommand(program: Command, io: CliIo): void {
  program
    .command('protect <what>')
    .description('keep a restore point (rp_...) or one backup (bkp_...) until a date, whatever policies say')
    .option('--until <time>', 'such as 2030-01-01T00:00:00Z', parseTime)
    .option('--none', 'no longer')
    .action(action(io, protect));
}

async function protect(context: CommandContext, what: string, { until, none }: Options): Promise<Output> {
  if ((until === undefined) === (none === undefined))
    throw new StrataError('invalid_request', 'Say --until TIME or --none.', { field: '--until' });
  checkId(what, 'what', ['restorePoint', 'backup']);
  const client = await context.client();
  const body = { protected_until: until ?? null };
  const { signal } = context.io;
  const json = what.startsWith('rp_')
    ? await client.restorePoints.protect(what, body, { signal })
    : await client.backups.protect(what, body, { signal });
  const text = until === undefined ? 'is not protected any more' : `stays until ${formatTime(until)}`;
  return { json, text: `${what} ${text}.\n` };
}
