import type { DataSource } from '../../db/database.js';
import {
  type DueDelivery,
  dueDeliveries,
  fixBody,
  noteDelivered,
  noteFailed,
  putOff,
} from '../../db/webhook/outbox.js';
import type { Logger } from '../../observability/logger.js';
import type { Metrics } from '../../observability/metrics.js';
import type { Clock } from '../../shared/clock.js';
import { type BackgroundChore, inBackground } from '../keeper/inBackground.js';
import { pauseAfter } from './backoff.js';
import { describe } from './describe.js';
import { post } from './post.js';
import { signatureOf } from './signature.js';

export interface NotifierOptions {
  /** How long a receiver may take to answer. */
  timeoutMs: number;
  /** How old an event may become before it is given up. */
  giveUpMs: number;
  signal: AbortSignal;
}

interface NotifierDeps {
  ds: DataSource;
  clock: Clock;
  log: Logger;
  metrics: Pick<Metrics, 'webhookAttempts'>;
}

/** Deliveries that are read at a time. */
const BATCH = 200;

/**
 * A chore of the keeper: sends what is due, webhook by webhook side by side, event by event in their order. At least once:
 * a keeper that dies between the answer and its note sends that event again, under the same id.
 */
export function createNotifier(deps: NotifierDeps, options: NotifierOptions): BackgroundChore {
  const { signal } = options;
  return inBackground(deps, { name: 'webhooks', everyMs: 0, signal }, () => sendAllDue(deps, options));
}

async function sendAllDue(deps: NotifierDeps, options: NotifierOptions): Promise<void> {
  for (;;) {
    const due = await dueDeliveries(deps.ds, BATCH);
    if (due.length === 0 || options.signal.aborted) return;
    await Promise.all(byWebhook(due).map((queue) => sendInOrder(deps, options, queue)));
  }
}

function byWebhook(due: readonly DueDelivery[]): DueDelivery[][] {
  const queues = new Map<string, DueDelivery[]>();
  for (const delivery of due) {
    const queue = queues.get(delivery.webhookId);
    if (queue) queue.push(delivery);
    else queues.set(delivery.webhookId, [delivery]);
  }
  return [...queues.values()];
}

/** A receiver that does not answer at all is left alone for a while: the rest of its queue would only wait as long. */
async function sendInOrder(
  deps: NotifierDeps,
  options: NotifierOptions,
  queue: readonly DueDelivery[],
): Promise<void> {
  for (const delivery of queue) {
    if (options.signal.aborted) return;
    const pause = await send(deps, options, delivery);
    if (pause !== undefined) return putOff(deps.ds, delivery.webhookId, pause);
  }
}

/** @returns the pause that the receiver needs, where it gave no answer */
async function send(
  deps: NotifierDeps,
  { timeoutMs, giveUpMs, signal }: NotifierOptions,
  delivery: DueDelivery,
): Promise<number | undefined> {
  const { id, url, secret, eventId, type, attempts } = delivery;
  const body = delivery.body ?? (await fixBody(deps.ds, id, await describe(deps.ds, delivery)));
  const headers = {
    'strata-event': type,
    'strata-event-id': eventId,
    'strata-attempt': String(attempts + 1),
    'strata-signature': signatureOf(secret, body, deps.clock.now()),
  };
  const result = await post({ url, headers, body, timeoutMs, signal });
  if (signal.aborted && result.status === null) return undefined;
  deps.metrics.webhookAttempts.inc({ outcome: result.error === null ? 'delivered' : 'failed' });
  if (result.error === null) {
    await noteDelivered(deps.ds, id, result);
    return undefined;
  }
  const pause = pauseAfter(attempts + 1, Math.random());
  const last = delivery.ageMs + pause > giveUpMs;
  await noteFailed(deps.ds, id, result, last ? undefined : pause);
  const facts = {
    deliveryId: id,
    type,
    webhookId: delivery.webhookId,
    attempts: attempts + 1,
    error: result.error,
  };
  deps.log.warn(facts, last ? 'a webhook was given up' : 'a webhook did not take an event');
  return result.status === null ? pause : undefined;
}
