import type {
  Page,
  Redelivered,
  Webhook,
  WebhookCreate,
  WebhookCreated,
  WebhookDelivery,
  WebhookPatch,
} from '../../contract/index.js';
import { type CallOptions, path, type Transport } from '../transport.js';
import { keyOf, listOf, type PageRequest, type WorkOptions } from './options.js';

export interface WebhookCalls {
  /** The only answer that shows the secret. */
  create(body: WebhookCreate, options?: WorkOptions): Promise<WebhookCreated>;
  list(page?: PageRequest, options?: CallOptions): Promise<Page<Webhook>>;
  get(id: string, options?: CallOptions): Promise<Webhook>;
  change(id: string, body: WebhookPatch, options?: CallOptions): Promise<Webhook>;
  remove(id: string, options?: CallOptions): Promise<void>;
  deliveries(id: string, page?: PageRequest, options?: CallOptions): Promise<Page<WebhookDelivery>>;
  /** Sends a `webhook.test`. */
  test(id: string, options?: WorkOptions): Promise<Redelivered>;
  /** Makes what was given up due again. */
  redeliver(id: string, options?: WorkOptions): Promise<Redelivered>;
}

export function webhookCalls(transport: Transport): WebhookCalls {
  const base = path('webhooks');
  const one = (id: string, ...rest: string[]) => path('webhooks', id, ...rest);
  const list = listOf(transport);
  return {
    create: (body, options) =>
      transport.call({ method: 'POST', path: base, body, idempotencyKey: keyOf(options) }, options),
    list: (page, options) => list(base, page, options),
    get: (id, options) => transport.call({ method: 'GET', path: one(id) }, options),
    change: (id, body, options) => transport.call({ method: 'PATCH', path: one(id), body }, options),
    remove: (id, options) => transport.call({ method: 'DELETE', path: one(id) }, options),
    deliveries: (id, page, options) => list(one(id, 'deliveries'), page, options),
    test: (id, options) =>
      transport.call({ method: 'POST', path: one(id, 'test'), idempotencyKey: keyOf(options) }, options),
    redeliver: (id, options) =>
      transport.call({ method: 'POST', path: one(id, 'redeliver'), idempotencyKey: keyOf(options) }, options),
  };
}
