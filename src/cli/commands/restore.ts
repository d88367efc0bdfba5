import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { RestoreCreate, Restore } from '../../client/index.js';
import { StrataError } from '../../shared/errors.js';
import { action, type CommandContext, type Output } from '../command.js';
import { formatOf } from '../diskSpec.js';
import { failureOf, followJob } from '../followJob.js';
import { checkId } from '../idArgument.js';
import type { CliIo } from '../io.js';
import { jobLimits, type JobLimits } from '../jobLimits.js';
import { parseCount, parseSize } from '../numbers.js';
import { formatBytes } from '../render/bytes.js';

type Format = RestoreCreate['format'];
const FORMATS: readonly Format[] = ['raw', 'qcow2', 'vmdk', 'vhdx', 'vdi'];

interface Options extends JobLimits {
  format?: Format;
  verify: boolean;
  allowDamaged?: true;
  wait?: true;
}

/** `strata restore BACKUP TARGET` */
export function addRestoreCommand(program: Command, io: CliIo): void {
  program
    .command('restore <backup> <target>')
    .description('write a backup to a new file, or to a block device')
    .addOption(
      new Option('--format <format>', "format of the target; its extension's by default").choices(FORMATS),
    )
    .option('--no-verify', 'do not read the target back and compare it with the content id')
    .option(
      '--allow-damaged',
      'restore a damaged backup as far as it can be read, and say what of it is wrong',
    )
    .option('--max-bytes-per-second <size>', 'bandwidth, such as 50MiB', parseSize)
    .option('--deadline <seconds>', 'fail if it has not ended so long after its start', parseCount)
    .option('--wait', 'wait for the end and show progress')
    .action(action(io, restore));
}

async function restore(
  context: CommandContext,
  backupId: string,
  target: string,
  options: Options,
): Promise<Output> {
  const path = resolve(target);
  const body: RestoreCreate = {
    backup_id: checkId(backupId, 'backup', ['backup']),
    target: { type: 'file', path },
    format: options.format ?? formatOfTarget(path),
    verify: options.verify,
    ...(options.allowDamaged ? { allow_damaged: true } : {}),
    ...jobLimits(options),
  };
  const client = await context.client();
  const { signal } = context.io;
  const accepted = await client.restores.create(body, { signal });
  if (!options.wait) {
    return { json: accepted, text: `Accepted restore ${accepted.restore_id} to ${path}.\n` };
  }
  const job = await followJob(context, client, accepted.restore_id, `restore of ${backupId}`);
  const done = await client.restores.get(accepted.restore_id, { signal });
  const text =
    job.status === 'completed'
      ? `Restored ${backupId} to ${path} (${body.format}${renderProof(done.result)}).\n${renderDamage(done.result)}`
      : '';
  return { json: done, text, failure: failureOf(job) };
}

function formatOfTarget(path: string): Format {
  const format = FORMATS.find((candidate) => candidate === formatOf(path));
  if (format) return format;
  throw new StrataError('unknown_format', `Restores write ${FORMATS.join(', ')}.`, { field: 'format' });
}

/** Ranges that are printed; `--json` has those of the result. */
const MOST_RANGES = 50;

/** `, verified` where the content was read back and is what was backed up. */
export function renderProof(result: Restore['result']): string {
  return result?.['verified'] === true ? ', verified' : '';
}

/** What of a restored disk is wrong, line by line; empty where nothing is, or nothing was allowed to be. */
export function renderDamage(result: Restore['result']): string {
  if (!result?.['damage'] || result['verified'] === true) return '';
  // The API gives a job's result without a schema; it is that of the service (RestoredDamage).
  const { ranges, bytes, more } = result['damage'] as {
    ranges: { offset: number; length: number }[] | null;
    bytes: number | null;
    more: boolean;
  };
  if (ranges === null) {
    return 'It is NOT what was backed up, and where it is wrong is unknown: a digest index of the chain cannot be used.\n';
  }
  const lines = ranges
    .slice(0, MOST_RANGES)
    .map(({ offset, length }) => `  offset ${offset} length ${length}`);
  const rest = more || ranges.length > MOST_RANGES ? ['  and more: see --json'] : [];
  const what = `It is NOT what was backed up in ${ranges.length}${more ? ' and more' : ''} ranges, ${formatBytes(bytes)} in all:`;
  return `${[what, ...lines, ...rest].join('\n')}\n`;
}
