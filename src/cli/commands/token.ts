import { type Command, Option } from 'commander';
import { allItems, type Token, type TokenCreate } from '../../client/index.js';
import { action, type CommandContext, type Output } from '../command.js';
import type { CliIo } from '../io.js';
import { parseTime } from '../parseTime.js';
import { findToken } from '../lookUp.js';
import { renderTable } from '../render/table.js';
import { formatTime } from '../render/time.js';

/** `strata token add|list|remove` */
export function addTokenCommand(program: Command, io: CliIo): void {
  const token = program.command('token').description('bearer tokens');
  const roles = ['admin', 'operator', 'viewer'];
  token
    .command('add <name>')
    .description('make a token; it is shown this once')
    .addOption(new Option('--role <role>', 'what it may do').choices(roles).default('viewer'))
    .option('--expires <time>', 'when it stops to work, such as 2026-12-31T00:00:00Z', parseTime)
    .action(action(io, addToken));
  token.command('list').description('list the tokens').action(action(io, listTokens));
  token
    .command('remove <token>')
    .description('revoke a token, by name or id')
    .action(action(io, removeToken));
}

async function addToken(
  context: CommandContext,
  name: string,
  options: { role: TokenCreate['role']; expires?: string },
): Promise<Output> {
  const body: TokenCreate = {
    name,
    role: options.role,
    ...(options.expires === undefined ? {} : { expires_at: options.expires }),
  };
  const client = await context.client();
  const created = await client.tokens.create(body, { signal: context.io.signal });
  const note = `Token ${created.name} (${created.role}); it is not shown again:\n`;
  return { json: created, text: `${note}${created.token}\n` };
}

async function listTokens(context: CommandContext): Promise<Output> {
  const client = await context.client();
  const items = await allItems((page) => client.tokens.list(page, { signal: context.io.signal }));
  const columns = [
    { title: 'NAME', value: (row: Token) => row.name },
    { title: 'ROLE', value: (row: Token) => row.role },
    { title: 'CREATED', value: (row: Token) => formatTime(row.created_at) },
    { title: 'LAST USED', value: (row: Token) => formatTime(row.last_used_at) },
    {
      title: 'EXPIRES',
      value: (row: Token) => (row.expires_at === null ? 'never' : formatTime(row.expires_at)),
    },
    { title: 'ID', value: (row: Token) => row.id },
  ];
  return { json: { items }, text: renderTable(columns, items, 'No tokens.') };
}

async function removeToken(context: CommandContext, idOrName: string): Promise<Output> {
  const client = await context.client();
  const { id, name } = await findToken(client, idOrName, context.io.signal);
  await client.tokens.remove(id, { signal: context.io.signal });
  return { json: { id, removed: true }, text: `Revoked token ${name}.\n` };
}
