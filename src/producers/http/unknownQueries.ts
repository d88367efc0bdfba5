import type { FastifyRequest } from 'fastify';
import { StrataError } from '../../shared/errors.js';
import { type Api, API_PREFIX } from './deps.js';

/**
 * Refuses query parameters that a route does not know, on every route that changes something, before anything else of the request
 * is looked at: whoever writes `?dry_run=true` to a route without dry runs must not find the work done.
 */
export function refuseUnknownQueries(app: Api): void {
  app.addHook('preValidation', async (request) => {
    const changes = request.method !== 'GET' && request.method !== 'HEAD';
    if (!changes || !request.routeOptions.url?.startsWith(API_PREFIX)) return;
    const known = namesOf(request);
    const unknown = Object.keys(request.query ?? {}).filter((name) => !known.includes(name));
    if (unknown.length === 0) return;
    const list = known.length === 0 ? 'none' : known.join(', ');
    throw new StrataError(
      'invalid_request',
      `The query has parameters that are not known here: ${unknown.slice(0, MOST_NAMES).join(', ')}. Known: ${list}.`,
      { fields: unknown.slice(0, MOST_NAMES).map((field) => ({ field, message: 'is not known here' })) },
    );
  });
}

/** What an answer names of them. */
const MOST_NAMES = 20;

function namesOf({ routeOptions }: FastifyRequest<{ Querystring: object }>): string[] {
  const query = routeOptions.schema?.querystring as { properties?: object } | undefined;
  return Object.keys(query?.properties ?? {});
}
