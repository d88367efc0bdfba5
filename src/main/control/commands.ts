import { isAbsolute } from 'node:path';
import { realpath } from 'node:fs/promises';
import type { Command } from 'commander';
import {
  action,
  type CliIo,
  type CommandContext,
  type Output,
  renderRepositories,
  repositoryStates,
  type RepositoryState,
} from '../../cli/index.js';
import { isStrataError, StrataError } from '../../shared/errors.js';
import { renderDown, renderStatus, renderUp } from './render.js';

/**
 * Adds `strata up | down | status`: the only commands that do not go through the API. What they need (TypeORM, BullMQ) is
 * loaded when they run: it would double the time that every other command takes to start.
 */
export function addControlCommands(program: Command, io: CliIo): void {
  const collect = (value: string, before: string[] = []) => [...before, value];
  program
    .command('up')
    .description('start everything, or adopt what runs: services, schema, admin token, fleet')
    .option(
      '--allow <path>',
      'this disk, or those in this directory, may be read from now on; repeat',
      collect,
    )
    .option(
      '--allow-nbd <server>',
      'this NBD server, too: host, host:port or the path of a socket; repeat',
      collect,
    )
    .action(action(io, (context: CommandContext, options: UpFlags) => runUp(context, options)));
  program
    .command('down')
    .description('stop everything; running jobs get their grace time')
    .action(action(io, (context: CommandContext) => runDown(context)));
  program
    .command('status')
    .description(
      'show processes, queues, addresses, ill and overdue repositories; exit code 0 only when everything runs',
    )
    .action(action(io, (context: CommandContext) => runStatus(context)));
}

interface UpFlags {
  allow?: string[];
  allowNbd?: string[];
}

async function runUp({ io, json }: CommandContext, flags: UpFlags): Promise<Output> {
  const sourceRoots = await Promise.all((flags.allow ?? []).map(realPathOf));
  const { up } = await import('../up.js');
  const result = await up({
    ...controlOptions(io, json),
    allow: { sourceRoots, nbdAllow: flags.allowNbd ?? [] },
  });
  // The token is in its file, not in a script's log.
  const { token: _token, ...rest } = result;
  return { json: rest, text: renderUp(result) };
}

async function runDown({ io, json }: CommandContext): Promise<Output> {
  const { down } = await import('../down.js');
  const result = await down(controlOptions(io, json));
  return { json: result, text: renderDown(result) };
}

async function runStatus(context: CommandContext): Promise<Output> {
  const { io, size } = context;
  const { status } = await import('../status.js');
  const found = await status({ env: io.env, projectDir: io.projectDir, signal: io.signal });
  const repositories = await statesOrNone(context);
  const unserved = (repositories ?? []).filter(({ unserved_kinds: kinds }) => kinds.length > 0);
  const healthy = found.healthy && unserved.length === 0;
  const health =
    repositories === null
      ? 'The API does not answer: how the repositories are is not known.\n'
      : renderRepositories(repositories);
  return {
    json: { ...found, healthy, repositories },
    text: `${renderStatus(found, size)}\n${health}`,
    failure: healthy ? undefined : whatIsWrong(found.healthy, unserved),
  };
}

function whatIsWrong(runs: boolean, unserved: readonly RepositoryState[]): StrataError {
  if (!runs) return new StrataError('api_unreachable', 'Not everything runs.');
  const pools = [...new Set(unserved.map(({ pool }) => pool))].join(', ');
  return new StrataError(
    'pool_unserved',
    `No live worker serves all jobs of the pool ${pools}: start one with this pool in STRATA_POOLS.`,
  );
}

/** Null where the API cannot be asked: the rest of the status is wanted then most of all. */
async function statesOrNone({ io, client }: CommandContext): Promise<RepositoryState[] | null> {
  try {
    return await repositoryStates(await client(), io.signal);
  } catch (error) {
    if (isStrataError(error)) return null;
    throw error;
  }
}

function controlOptions(io: CliIo, json: boolean) {
  const log = (line: string) => (json ? undefined : io.err(`${line}\n`));
  return { env: io.env, projectDir: io.projectDir, signal: io.signal, log };
}

/** @throws path_not_allowed for a path that does not exist; a link's target is what workers compare with */
async function realPathOf(path: string): Promise<string> {
  if (path.includes(',')) {
    // STRATA_SOURCE_ROOTS is a comma-separated list.
    throw new StrataError('path_not_allowed', `A path with a comma cannot be allowed: ${path}.`);
  }
  try {
    const real = await realpath(path);
    if (isAbsolute(real)) return real;
  } catch (error) {
    throw new StrataError('path_not_allowed', `There is nothing at ${path}.`, {
      cause: error,
      field: 'allow',
    });
  }
  throw new StrataError('path_not_allowed', `There is nothing at ${path}.`, { field: 'allow' });
}
