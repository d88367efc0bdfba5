import type { DataSource } from 'typeorm';
import { OutboxEvent, type OutboxState, Webhook } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import type { EventType } from '../../shared/eventTypes.js';
import { newId } from '../../shared/ids.js';
import { checkSimpleName } from '../../shared/names.js';
import { recordEvents } from '../job/events.js';
import { asDatabaseError, asking, inTransaction, isDuplicate } from '../transaction.js';
import { type PageOf, type PageRequest, pageById, pageByTime } from '../page.js';

export interface NewWebhook {
  name: string;
  url: string;
  secret: string;
  /** Null for all. */
  events: EventType[] | null;
  /** Names the id only. */
  now: Date;
}

/** @throws invalid_name, name_taken */
export async function createWebhook(ds: DataSource, wanted: NewWebhook): Promise<Webhook> {
  checkSimpleName(wanted.name, 'name');
  const id = newId('whk', wanted.now);
  const { name, url, secret, events } = wanted;
  try {
    await ds.query(
      `INSERT INTO webhooks (id, name, url, secret, events, enabled, created_at)
       VALUES (?, ?, ?, ?, ?, 1, UTC_TIMESTAMP(3))`,
      [id, name, url, secret, events === null ? null : JSON.stringify(events)],
    );
  } catch (error) {
    if (!isDuplicate(error, 'uq_webhooks_name')) throw asDatabaseError(error);
    throw new StrataError('name_taken', `There is a webhook ${name} already.`, {
      field: 'name',
      cause: error,
    });
  }
  return getWebhook(ds, id);
}

/** @throws not_found */
export async function getWebhook(ds: DataSource, id: string): Promise<Webhook> {
  const row = await asking(() => ds.getRepository(Webhook).findOneBy({ id }));
  if (!row) throw new StrataError('not_found', `There is no webhook ${id}.`);
  return row;
}

/** Webhooks in the order of their ids. */
export async function listWebhooks(ds: DataSource, page: PageRequest): Promise<PageOf<Webhook>> {
  return pageById(ds.getRepository(Webhook).createQueryBuilder('w'), 'w.id', page, (row) => row.id);
}

export type WebhookChange = Partial<Pick<Webhook, 'url' | 'events' | 'enabled'>>;

/** @throws not_found */
export async function changeWebhook(ds: DataSource, id: string, change: WebhookChange): Promise<Webhook> {
  await asking(() => ds.getRepository(Webhook).update({ id }, change));
  return getWebhook(ds, id);
}

/**
 * Removes a webhook and what it was still to be told.
 * @throws not_found
 */
export async function deleteWebhook(ds: DataSource, id: string): Promise<void> {
  await inTransaction(ds, async (tx) => {
    await tx.query('SELECT id FROM webhooks WHERE id = ? FOR UPDATE', [id]);
    await tx.delete(OutboxEvent, { webhookId: id });
    const result = await tx.delete(Webhook, { id });
    if (result.affected !== 1) throw new StrataError('not_found', `There is no webhook ${id}.`);
  });
}

/**
 * Writes a `webhook.test` for this webhook, whatever events it wants.
 * @throws not_found; wrong_state when it is disabled
 */
export async function recordTest(ds: DataSource, id: string): Promise<void> {
  await inTransaction(ds, async (tx) => {
    const rows = await tx.query<{ enabled: number }[]>(
      'SELECT enabled FROM webhooks WHERE id = ? FOR UPDATE',
      [id],
    );
    const [row] = rows;
    if (!row) throw new StrataError('not_found', `There is no webhook ${id}.`);
    if (Number(row.enabled) !== 1) throw new StrataError('wrong_state', `Webhook ${id} is disabled.`);
    await recordEvents(tx, [{ type: 'webhook.test', subjectId: id }], id);
  });
}

/** The events that a webhook was or is still to be notified of, newest first. */
export async function listDeliveries(
  ds: DataSource,
  filter: { webhookId: string; state?: OutboxState | undefined },
  page: PageRequest,
): Promise<PageOf<OutboxEvent>> {
  const { webhookId, state } = filter;
  const query = ds.getRepository(OutboxEvent).createQueryBuilder('o');
  query.where('o.webhookId = :webhookId', { webhookId });
  if (state !== undefined) query.andWhere('o.state = :state', { state });
  return pageByTime(query, page);
}

/**
 * Makes the dead deliveries of a webhook due again.
 * @returns how many
 */
export async function reviveDeliveries(ds: DataSource, webhookId: string): Promise<number> {
  const result = await asking(() =>
    ds
      .createQueryBuilder()
      .update(OutboxEvent)
      .set({ state: 'pending', attempts: 0, nextAttemptAt: () => 'UTC_TIMESTAMP(3)' })
      .where({ webhookId, state: 'dead' })
      .execute(),
  );
  return result.affected ?? 0;
}
