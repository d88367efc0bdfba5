import { createHmac } from 'node:crypto';
import type { DataSource } from '../../db/database.js';
import {
  type AttemptResult,
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
import { describe } from './describe.js';

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

interface Post {
  url: string;
  headers: Record<string, string>;
  body: string;
  timeoutMs: number;
  signal: AbortSignal;
}

/**
 * One attempt: a POST that any 2xx answers. Redirects are not followed, because what is signed for one address is not
 * handed to another; the answer's body is thrown away.
 * @returns never throws for the receiver's trouble: `error` says what it was. An answer's `status` is there even so.
 */
async function post({ url, headers, body, timeoutMs, signal }: Post): Promise<AttemptResult> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'strata', ...headers },
      body,
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    await response.body?.cancel();
    const { status } = response;
    return { status, error: response.ok ? null : `It answered ${status}.` };
  } catch (error) {
    return { status: null, error: reasonOf(error) };
  }
}

/** `fetch` hides the reason in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error ? `${error.message}: ${cause.message || cause.name}` : error.message;
}

/**
 * Value of the header `strata-signature`: `t=<seconds since 1970>,v1=<hex>`, where v1 is the HMAC-SHA-256 of
 * `<t>.<body>` under the webhook's secret. The time is signed so that a receiver can refuse an old recording.
 */
function signatureOf(secret: string, body: string, now: Date): string {
  const seconds = Math.floor(now.getTime() / 1000);
  const mac = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex');
  return `t=${seconds},v1=${mac}`;
}

const FIRST_MS = 5_000;
/** A receiver that is back after a long time waits at most for this. */
const LONGEST_MS = 600_000;
/** Receivers that come back are not met by everything in one instant. */
const SPREAD = 0.2;

/**
 * Pause after the n-th failed attempt: 5 s, doubled each time, up to 10 min, give or take a fifth.
 * @param random from 0 up to 1
 */
function pauseAfter(attempts: number, random: number): number {
  const pause = Math.min(FIRST_MS * 2 ** Math.min(attempts - 1, 20), LONGEST_MS);
  return Math.round(pause * (1 - SPREAD + 2 * SPREAD * random));
}
