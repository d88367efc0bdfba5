// One file for each command; program.ts puts them together.
import type { Command } from 'commander';
import { allItems, type RepositorySpace, type StrataClient } from '../../client/index.js';
import { action, type CommandContext, type Output } from '../command.js';
import type { CliIo } from '../io.js';
import { findRepository } from '../lookUp.js';
import { renderSpace } from '../render/space.js';

/** `strata space [REPOSITORY]` */
export function addSpaceCommand(program: Command, io: CliIo): void {
  program
    .command('space [repository]')
    .description('who holds what in a repository (default: in all), and what can come free')
    .action(action(io, showSpace));
}

async function showSpace(context: CommandContext, name: string | undefined): Promise<Output> {
  const client = await context.client();
  const { signal } = context.io;
  const items: { name: string; space: RepositorySpace }[] = [];
  for (const repository of await repositoriesOf(client, name, signal)) {
    items.push({ name: repository.name, space: await client.repositories.space(repository.id, { signal }) });
  }
  return {
    json: { items: items.map(({ space }) => space) },
    text: items.map(({ name: title, space }) => renderSpace(title, space, context.size)).join('\n'),
  };
}

async function repositoriesOf(client: StrataClient, name: string | undefined, signal: AbortSignal) {
  if (name !== undefined) return [await findRepository(client, name, signal)];
  return allItems((page) => client.repositories.list(page, { signal }));
}
