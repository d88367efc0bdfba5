import type { Command } from 'commander';
import type { RepositoryPatch } from '../../client/index.js';
import { StrataError } from '../../shared/errors.js';
import { action, type CommandContext, type Output } from '../command.js';
import { cadenceOf, type CadenceOptions, withCadence } from '../cadenceOptions.js';
import type { CliIo } from '../io.js';
import { findRepository } from '../lookUp.js';
import { renderUnserved } from '../render/pool.js';
import { orNone, parseCount, parseSize } from '../numbers.js';

interface Options extends CadenceOptions {
  name?: string;
  pool?: string;
  minFree?: number;
  maxParallelJobs?: number | 'none';
  maxBytesPerSecond?: number | 'none';
  immutableDays?: number;
  enable?: true;
  disable?: true;
}

/** `strata repo set` */
export function addSetCommand(repo: Command, io: CliIo): void {
  withCadence(repo.command('set <repository>'))
    .description('change what is given; jobs that run feel a new bandwidth limit within seconds')
    .option('--name <name>', 'a new name')
    .option('--pool <pool>', 'workers of this pool mount it')
    .option('--min-free <size>', 'room that backups leave free, such as 10GiB', parseSize)
    .option('--max-parallel-jobs <n>', 'jobs at a time, fleet-wide; none: no limit', orNone(parseCount))
    .option(
      '--max-bytes-per-second <size>',
      'bandwidth of all its jobs together, such as 50MiB; none: no limit',
      orNone(parseSize),
    )
    .option('--immutable-days <n>', 'days for which backups cannot be removed', parseCount)
    .option('--enable', 'take backups')
    .option('--disable', 'take no more backups')
    .action(action(io, setRepository));
}

async function setRepository(context: CommandContext, idOrName: string, options: Options): Promise<Output> {
  const { signal } = context.io;
  const body = patchOf(options);
  const client = await context.client();
  const { id } = await findRepository(client, idOrName, signal);
  const repository = await client.repositories.update(id, body, { signal });
  return { json: repository, text: `Changed repository ${repository.name}.\n${renderUnserved(repository)}` };
}

function patchOf(options: Options): RepositoryPatch {
  const { enable, disable } = options;
  if (enable && disable) throw new StrataError('invalid_request', 'Either --enable or --disable.');
  const body: RepositoryPatch = {
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.pool === undefined ? {} : { pool: options.pool }),
    ...(options.minFree === undefined ? {} : { min_free_bytes: options.minFree }),
    ...(options.maxParallelJobs === undefined
      ? {}
      : { max_parallel_jobs: numberOrNull(options.maxParallelJobs) }),
    ...(options.maxBytesPerSecond === undefined
      ? {}
      : { max_bytes_per_second: numberOrNull(options.maxBytesPerSecond) }),
    ...(options.immutableDays === undefined ? {} : { immutable_days: options.immutableDays }),
    ...cadenceOf(options),
    ...(enable || disable ? { enabled: enable === true } : {}),
  };
  if (Object.keys(body).length > 0) return body;
  throw new StrataError('invalid_request', 'There is nothing to change: see strata help repo set.');
}

function numberOrNull(value: number | 'none'): number | null {
  return value === 'none' ? null : value;
}
