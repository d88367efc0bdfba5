// One view for each noun of the API: wire names begin here.
import type { Webhook as WebhookView, WebhookDelivery } from '../../../contract/index.js';
import type { OutboxEvent, Webhook } from '../../../entities/index.js';
import { iso } from './parts.js';

/** Without its secret. */
export function toWebhook(row: Webhook): WebhookView {
  return {
    id: row.id,
    name: row.name,
    url: row.url,
    events: row.events,
    enabled: row.enabled,
    created_at: row.createdAt.toISOString(),
  };
}

export function toDelivery(row: OutboxEvent): WebhookDelivery {
  return {
    id: row.id,
    event_id: row.eventId,
    type: row.type,
    subject_id: row.subjectId,
    state: row.state,
    attempts: row.attempts,
    last_status: row.lastStatus,
    last_error: row.lastError,
    next_attempt_at: row.state === 'pending' ? row.nextAttemptAt.toISOString() : null,
    created_at: row.createdAt.toISOString(),
    delivered_at: iso(row.deliveredAt),
  };
}
