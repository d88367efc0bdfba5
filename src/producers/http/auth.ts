import type { FastifyReply, FastifyRequest } from 'fastify';
import type { TokenOwner } from '../../db/fleet/tokens.js';
import type { Role } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { accessOf, isPage, mayCall } from './access.js';
import { type Credentials, readCredentials } from './credentials.js';
import type { Api } from './deps.js';
import { sendProblem } from './problem.js';
import type { TokenCache } from './tokenCache.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose token it carries; null on the routes that need none. */
    caller: TokenOwner | null;
  }
}

/**
 * Demands a token on every route of the server, unknown ones and those of plugins included, but for the routes that say
 * `access: 'anyone'`. Must be called before any route is registered.
 */
export function requireTokens(app: Api, tokens: TokenCache): void {
  app.decorateRequest('caller', null);
  app.addHook('onRequest', async (request, reply) => {
    const access = accessOf(request.method, request.routeOptions.config.access);
    if (access === 'anyone') return;
    try {
      request.caller = await authenticate(request, reply, tokens);
      demandRole(request.caller.role, access);
    } catch (error) {
      // Answered here: a plugin's own error handler would make a 500 of a missing token.
      return sendProblem(error, request, reply);
    }
  });
}

function demandRole(role: Role, access: Role): void {
  if (mayCall(role, access)) return;
  const details = { role, needed: access };
  throw new StrataError('forbidden', `A token of role ${role} may not do this.`, { details });
}

/** The token behind a request that has passed `requireTokens`. */
export function callerOf(request: FastifyRequest): TokenOwner {
  if (!request.caller) throw new StrataError('unauthorized', 'A bearer token is needed.');
  return request.caller;
}

async function authenticate(
  request: FastifyRequest,
  reply: FastifyReply,
  tokens: TokenCache,
): Promise<TokenOwner> {
  const credentials = readCredentials(request.headers.authorization);
  const owner =
    credentials && mayUse(credentials, request) ? await tokens.find(credentials.token) : undefined;
  if (owner) return owner;
  reply.header('www-authenticate', challenge(request));
  throw new StrataError(
    'unauthorized',
    request.headers.authorization === undefined
      ? 'The header "Authorization: Bearer <token>" is missing.'
      : 'The token is not known, has expired, or is not sent as "Authorization: Bearer <token>".',
  );
}

/**
 * A browser sends Basic credentials with every request, also with those that other sites make it send: it counts for the
 * pages only, and there not for what another site began.
 */
function mayUse({ scheme }: Credentials, request: FastifyRequest): boolean {
  if (scheme === 'bearer') return true;
  const site = request.headers['sec-fetch-site'];
  const foreign = site === 'cross-site' || site === 'same-site';
  return isPage(request.url) && (request.method === 'GET' || request.method === 'HEAD' || !foreign);
}

function challenge(request: FastifyRequest): string {
  return isPage(request.url) ? 'Basic realm="strata", charset="UTF-8"' : 'Bearer realm="strata"';
}
