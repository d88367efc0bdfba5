import type { FastifyReply, FastifyRequest } from 'fastify';
import { claimKey, type Held, keepAnswer, releaseKey } from '../../db/job/idempotency.js';
import { StrataError } from '../../shared/errors.js';
import type { Idempotency } from '../accept/index.js';
import { readCredentials } from './credentials.js';
import { type Api, API_PREFIX, type HttpDeps } from './deps.js';
import { idempotencyOf } from './idempotency.js';
import { openAnswer, sealAnswer, type SealedAnswer } from './sealedAnswer.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The Idempotency-Key that this request holds until it is answered. */
    claimedKey: Idempotency | null;
  }
  interface FastifyContextConfig {
    /** The route writes the Idempotency-Key in the transaction in which it accepts work (`acceptOnce`). */
    ownKey?: true;
  }
}

/** So long a repeated request waits for the one that is under way. */
const PATIENCE_MS = 5_000;
const PAUSE_MS = 100;

/**
 * Answers every POST and DELETE once per Idempotency-Key. Routes that accept work see to it themselves (`ownKey`), in one
 * transaction; for all others the key is claimed before the handler runs and the answer is kept behind it. An error keeps nothing:
 * the key is free again. Must be called before any route is registered.
 */
export function answerOncePerKey(app: Api, { ds }: Pick<HttpDeps, 'ds'>): void {
  app.decorateRequest('claimedKey', null);
  const claim = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    const idempotency = idempotencyOf(request);
    if (!idempotency) return undefined;
    const held = await claimPatiently(() => claimKey(ds, idempotency));
    if (held === 'claimed') {
      request.claimedKey = idempotency;
      return undefined;
    }
    const { status, location, body } = openAnswer(tokenOf(request), held as unknown as SealedAnswer);
    if (location !== undefined) reply.header('location', location);
    return reply
      .code(status)
      .type('application/json; charset=utf-8')
      .send(body === '' ? null : body);
  };
  const keep = async (request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<void> => {
    const { claimedKey } = request;
    if (!claimedKey) return;
    request.claimedKey = null;
    const location = reply.getHeader('location');
    const answer = {
      status: reply.statusCode,
      body: typeof payload === 'string' ? payload : '',
      ...(typeof location === 'string' ? { location } : {}),
    };
    try {
      if (answer.status >= 300) await releaseKey(ds, claimedKey);
      else await keepAnswer(ds, claimedKey, sealAnswer(tokenOf(request), answer));
    } catch (error) {
      // What was done is done, and is told; a repetition is told that this one is under way until the claim is old.
      request.log.warn({ err: error }, 'the answer to an Idempotency-Key was not kept');
    }
  };
  app.addHook('onRoute', (route) => {
    const changes = [route.method].flat().some((method) => method === 'POST' || method === 'DELETE');
    if (!changes || !route.url.startsWith(`${API_PREFIX}/`) || route.config?.ownKey) return;
    route.preHandler = [route.preHandler ?? [], claim].flat();
    route.onSend = [route.onSend ?? [], keep].flat();
  });
}

/** @throws request_in_progress when the request with this key is still under way after a while */
async function claimPatiently(claim: () => Promise<Held>): Promise<Exclude<Held, 'busy'>> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const held = await claim();
    if (held !== 'busy') return held;
    if (performance.now() > deadline) {
      throw new StrataError(
        'request_in_progress',
        'The request with this Idempotency-Key is still under way.',
      );
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

function tokenOf(request: FastifyRequest): string {
  return readCredentials(request.headers.authorization)?.token ?? '';
}
