import { Option, type Command } from 'commander';
import { allItems, type Repository, type RepositoryCreate } from '../../client/index.js';
import { resolve } from 'node:path';
import { cadenceOf, type CadenceOptions, withCadence } from '../cadenceOptions.js';
import { action, type CommandContext, type Output } from '../command.js';
import type { CliIo } from '../io.js';
import { findRepository } from '../lookUp.js';
import { parseCount, parseSize } from '../numbers.js';
import { cadenceFields, cadenceText } from '../render/cadence.js';
import { renderUnserved } from '../render/pool.js';
import { renderFields, renderTable } from '../render/table.js';
import { formatTime } from '../render/time.js';
import { addSetCommand } from './repoSet.js';
import { addUpkeepCommands } from './repoUpkeep.js';

interface AddOptions extends CadenceOptions {
  type: 'local' | 'nfs';
  pool?: string;
  minFree?: number;
  maxParallelJobs?: number;
  maxBytesPerSecond?: number;
  immutableDays?: number;
  adopt?: boolean;
}

/** `strata repo add|adopt|list|show|set|remove|reconcile|rebuild` */
export function addRepoCommand(program: Command, io: CliIo): void {
  const repo = program.command('repo').description('repositories: the directories that hold backups');
  withCadence(repo.command('add <name> <directory>'))
    .description('register a directory as a repository')
    .addOption(new Option('--type <type>', 'kind of file system').choices(['local', 'nfs']).default('local'))
    .option('--pool <pool>', 'workers of this pool mount it')
    .option('--min-free <size>', 'room that backups leave free, such as 10GiB', parseSize)
    .option('--max-parallel-jobs <n>', 'jobs at a time, fleet-wide', parseCount)
    .option('--max-bytes-per-second <size>', 'bandwidth of all its jobs together, such as 50MiB', parseSize)
    .option('--immutable-days <n>', 'days for which backups cannot be removed', parseCount)
    .option('--adopt', 'the directory is a repository whose database is lost: take its id over')
    .action(action(io, addRepository));
  repo
    .command('adopt <directory>')
    .description('take a known repository up at another path, where its file system is mounted now')
    .action(action(io, adoptRepository));
  repo.command('list').description('list the repositories').action(action(io, listRepositories));
  repo.command('show <repository>').description('show one, by name or id').action(action(io, showRepository));
  repo
    .command('remove <repository>')
    .description('forget a repository that holds no backups; its directory stays')
    .action(action(io, removeRepository));
  addSetCommand(repo, io);
  addUpkeepCommands(repo, io);
}

async function addRepository(
  context: CommandContext,
  name: string,
  directory: string,
  options: AddOptions,
): Promise<Output> {
  const { validate_bytes_per_hour: bytes, ...cadence } = cadenceOf(options);
  const body: RepositoryCreate = {
    name,
    type: options.type,
    root_path: resolve(directory),
    ...(options.pool === undefined ? {} : { pool: options.pool }),
    ...(options.minFree === undefined ? {} : { min_free_bytes: options.minFree }),
    ...(options.maxParallelJobs === undefined ? {} : { max_parallel_jobs: options.maxParallelJobs }),
    ...(options.maxBytesPerSecond === undefined ? {} : { max_bytes_per_second: options.maxBytesPerSecond }),
    ...(options.immutableDays === undefined ? {} : { immutable_days: options.immutableDays }),
    ...cadence,
    ...(bytes === undefined || bytes === null ? {} : { validate_bytes_per_hour: bytes }),
    ...(options.adopt ? { adopt: true } : {}),
  };
  const client = await context.client();
  const repository = await client.repositories.create(body, { signal: context.io.signal });
  const text = `Registered repository ${repository.name} (${repository.id}).\n${renderUnserved(repository)}`;
  return { json: repository, text };
}

async function adoptRepository(context: CommandContext, directory: string): Promise<Output> {
  const client = await context.client();
  const body = { root_path: resolve(directory) };
  const repository = await client.repositories.adopt(body, { signal: context.io.signal });
  const { name, id, root_path: path } = repository;
  return { json: repository, text: `Repository ${name} (${id}) is at ${path}.\n` };
}

async function listRepositories(context: CommandContext): Promise<Output> {
  const client = await context.client();
  const items = await allItems((page) => client.repositories.list(page, { signal: context.io.signal }));
  const columns = [
    { title: 'NAME', value: (row: Repository) => row.name },
    { title: 'TYPE', value: (row: Repository) => row.type },
    { title: 'POOL', value: (row: Repository) => row.pool },
    { title: 'STATE', value: (row: Repository) => (row.enabled ? 'enabled' : 'disabled') },
    { title: 'USED', value: (row: Repository) => context.size(row.used_bytes), align: 'right' as const },
    { title: 'FREE', value: (row: Repository) => context.size(row.available_bytes), align: 'right' as const },
    { title: 'VALIDATED, DEEPLY', value: cadenceText },
    { title: 'DIRECTORY', value: (row: Repository) => row.root_path },
    { title: 'ID', value: (row: Repository) => row.id },
  ];
  const empty = 'No repositories. Register one: strata repo add NAME DIRECTORY';
  return { json: { items }, text: renderTable(columns, items, empty) };
}

async function showRepository(context: CommandContext, idOrName: string): Promise<Output> {
  const { signal } = context.io;
  const client = await context.client();
  const repository = await findRepository(client, idOrName, signal);
  const validation = await client.repositories.validation(repository.id, { signal });
  const text = renderFields([
    ['id', repository.id],
    ['name', repository.name],
    ['type', repository.type],
    ['directory', repository.root_path],
    ['pool', repository.pool],
    ['not served', repository.unserved_kinds?.length ? repository.unserved_kinds.join(', ') : null],
    ['state', repository.enabled ? 'enabled' : 'disabled'],
    ['size', context.size(repository.total_bytes)],
    ['used', context.size(repository.used_bytes)],
    ['free', context.size(repository.available_bytes)],
    ['kept free', context.size(repository.min_free_bytes)],
    ['parallel jobs', repository.max_parallel_jobs ?? 'unlimited'],
    [
      'bandwidth',
      repository.max_bytes_per_second === null
        ? 'unlimited'
        : `${context.size(repository.max_bytes_per_second)}/s`,
    ],
    ['immutable days', repository.immutable_days],
    ...cadenceFields(repository, validation, context.size),
    ['capacity read', formatTime(repository.capacity_read_at)],
    ['created', formatTime(repository.created_at)],
  ]);
  return { json: { ...repository, validation }, text };
}

async function removeRepository(context: CommandContext, idOrName: string): Promise<Output> {
  const client = await context.client();
  const { id, name } = await findRepository(client, idOrName, context.io.signal);
  await client.repositories.remove(id, { signal: context.io.signal });
  return { json: { id, removed: true }, text: `Removed repository ${name}; its directory was left alone.\n` };
}
