import type { DataSource } from 'typeorm';
import type { EventType } from '../../shared/eventTypes.js';
import { affectedRows, asking } from '../transaction.js';
import { select } from '../page.js';

/** A delivery whose time has come, with where it goes. */
export interface DueDelivery {
  id: string;
  webhookId: string;
  url: string;
  secret: string;
  eventId: string;
  type: EventType;
  subjectId: string;
  body: string | null;
  attempts: number;
  createdAt: Date;
  /** Milliseconds since the event, by the database's clock. */
  ageMs: number;
}

/** Due deliveries of enabled webhooks, those that have waited longest first. */
export async function dueDeliveries(ds: DataSource, limit: number): Promise<DueDelivery[]> {
  const rows = await select<DueDelivery & { ageMs: string }>(
    ds,
    `SELECT o.id, o.webhook_id AS webhookId, w.url, w.secret, o.event_id AS eventId, o.type, o.subject_id AS subjectId,
            o.body, o.attempts, o.created_at AS createdAt,
            TIMESTAMPDIFF(MICROSECOND, o.created_at, UTC_TIMESTAMP(3)) DIV 1000 AS ageMs
     FROM outbox_events o JOIN webhooks w ON w.id = o.webhook_id
     WHERE o.state = 'pending' AND o.next_attempt_at <= UTC_TIMESTAMP(3) AND w.enabled = 1
     ORDER BY o.next_attempt_at, o.created_at, o.id LIMIT ?`,
    [limit],
  );
  return rows.map((row) => ({ ...row, ageMs: Number(row.ageMs) }));
}

/** Fixes the body before the first attempt; the one that is there already wins. @returns the body that counts */
export async function fixBody(ds: DataSource, id: string, body: string): Promise<string> {
  await select(ds, 'UPDATE outbox_events SET body = ? WHERE id = ? AND body IS NULL', [body, id]);
  const rows = await select<{ body: string }>(ds, 'SELECT body FROM outbox_events WHERE id = ?', [id]);
  return rows[0]?.body ?? body;
}

/** How an attempt went: an HTTP status or none, and why it does not count. */
export interface AttemptResult {
  status: number | null;
  error: string | null;
}

export async function noteDelivered(ds: DataSource, id: string, { status }: AttemptResult): Promise<void> {
  await select(
    ds,
    `UPDATE outbox_events SET state = 'delivered', attempts = attempts + 1, last_status = ?, last_error = NULL,
       delivered_at = UTC_TIMESTAMP(3) WHERE id = ?`,
    [status, id],
  );
}

/** @param again milliseconds to the next attempt; undefined gives it up */
export async function noteFailed(
  ds: DataSource,
  id: string,
  { status, error }: AttemptResult,
  again: number | undefined,
): Promise<void> {
  await select(
    ds,
    `UPDATE outbox_events SET state = ?, attempts = attempts + 1, last_status = ?, last_error = ?,
       next_attempt_at = UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND WHERE id = ? AND state = 'pending'`,
    [again === undefined ? 'dead' : 'pending', status, error?.slice(0, 500) ?? null, (again ?? 0) * 1000, id],
  );
}

/** Puts off what is not tried now because its webhook did not answer a moment ago; no attempt is counted. */
export async function putOff(ds: DataSource, webhookId: string, ms: number): Promise<void> {
  await select(
    ds,
    `UPDATE outbox_events SET next_attempt_at = UTC_TIMESTAMP(3) + INTERVAL ? MICROSECOND
     WHERE webhook_id = ? AND state = 'pending' AND next_attempt_at <= UTC_TIMESTAMP(3)`,
    [ms * 1000, webhookId],
  );
}

/** Forgets deliveries that ended long ago. @returns how many */
export async function forgetDeliveries(ds: DataSource, days: number, limit: number): Promise<number> {
  const result = await asking(() =>
    ds.query<unknown>(
      `DELETE FROM outbox_events WHERE state IN ('delivered', 'dead') AND created_at < UTC_TIMESTAMP(3) - INTERVAL ? DAY LIMIT ?`,
      [days, limit],
    ),
  );
  return affectedRows(result);
}
