import { type Command, InvalidArgumentError } from 'commander';
import { allItems, type Webhook, type WebhookCreate, type WebhookDelivery } from '../../client/index.js';
import { EVENT_TYPES, type EventType } from '../../shared/eventTypes.js';
import { action, type CommandContext, type Output } from '../command.js';
import type { CliIo } from '../io.js';
import { findWebhook } from '../lookUp.js';
import { renderTable } from '../render/table.js';
import { formatTime } from '../render/time.js';

/** Deliveries that are shown. */
const SHOWN = 50;

/** `strata webhook add|list|show|remove|test|redeliver` */
export function addWebhookCommand(program: Command, io: CliIo): void {
  const webhook = program.command('webhook').description('addresses that are told what has happened');
  webhook
    .command('add <name> <url>')
    .description('register an address; its secret is shown this once')
    .option('--event <type>', 'an event that it is told, repeatable; default: all', collectEvent)
    .action(action(io, addWebhook));
  webhook.command('list').description('list the webhooks').action(action(io, listWebhooks));
  webhook
    .command('show <webhook>')
    .description('show what it was told lately and is still to be told')
    .action(action(io, showWebhook));
  webhook
    .command('remove <webhook>')
    .description('remove it, by name or id')
    .action(action(io, removeWebhook));
  webhook.command('test <webhook>').description('send it a webhook.test').action(action(io, testWebhook));
  webhook
    .command('redeliver <webhook>')
    .description('try again to deliver what was given up')
    .action(action(io, redeliver));
}

async function addWebhook(
  context: CommandContext,
  name: string,
  url: string,
  options: { event?: EventType[] },
): Promise<Output> {
  const body: WebhookCreate = { name, url, ...(options.event ? { events: options.event } : {}) };
  const client = await context.client();
  const created = await client.webhooks.create(body, { signal: context.io.signal });
  return {
    json: created,
    text: `Webhook ${created.name} (${created.id}); its secret is not shown again:\n${created.secret}\n`,
  };
}

async function listWebhooks(context: CommandContext): Promise<Output> {
  const client = await context.client();
  const items = await allItems((page) => client.webhooks.list(page, { signal: context.io.signal }));
  const columns = [
    { title: 'NAME', value: (row: Webhook) => row.name },
    { title: 'URL', value: (row: Webhook) => row.url },
    { title: 'EVENTS', value: (row: Webhook) => row.events?.join(' ') ?? 'all' },
    { title: 'ENABLED', value: (row: Webhook) => (row.enabled ? 'yes' : 'no') },
    { title: 'ID', value: (row: Webhook) => row.id },
  ];
  return { json: { items }, text: renderTable(columns, items, 'No webhooks.') };
}

async function showWebhook(context: CommandContext, idOrName: string): Promise<Output> {
  const { signal } = context.io;
  const client = await context.client();
  const { id } = await findWebhook(client, idOrName, signal);
  const { items } = await client.webhooks.deliveries(id, { limit: SHOWN }, { signal });
  const columns = [
    { title: 'WHEN', value: (row: WebhookDelivery) => formatTime(row.created_at) },
    { title: 'EVENT', value: (row: WebhookDelivery) => row.type },
    { title: 'ABOUT', value: (row: WebhookDelivery) => row.subject_id },
    { title: 'STATE', value: (row: WebhookDelivery) => row.state },
    { title: 'ATTEMPTS', value: (row: WebhookDelivery) => String(row.attempts) },
    { title: 'LAST ERROR', value: (row: WebhookDelivery) => row.last_error ?? '' },
  ];
  return { json: { items }, text: renderTable(columns, items, 'It was told nothing yet.') };
}

async function removeWebhook(context: CommandContext, idOrName: string): Promise<Output> {
  const client = await context.client();
  const { id, name } = await findWebhook(client, idOrName, context.io.signal);
  await client.webhooks.remove(id, { signal: context.io.signal });
  return { json: { id, removed: true }, text: `Removed webhook ${name}.\n` };
}

async function testWebhook(context: CommandContext, idOrName: string): Promise<Output> {
  const client = await context.client();
  const { id, name } = await findWebhook(client, idOrName, context.io.signal);
  const answer = await client.webhooks.test(id, { signal: context.io.signal });
  return {
    json: answer,
    text: `A webhook.test is on its way; strata webhook show ${name} tells what came of it.\n`,
  };
}

async function redeliver(context: CommandContext, idOrName: string): Promise<Output> {
  const client = await context.client();
  const { id } = await findWebhook(client, idOrName, context.io.signal);
  const answer = await client.webhooks.redeliver(id, { signal: context.io.signal });
  return { json: answer, text: `${answer.deliveries} deliveries are tried again.\n` };
}

function collectEvent(text: string, before: EventType[] = []): EventType[] {
  const type = EVENT_TYPES.find((candidate) => candidate === text);
  if (!type) throw new InvalidArgumentError(`It is one of ${EVENT_TYPES.join(', ')}.`);
  return [...before, type];
}
