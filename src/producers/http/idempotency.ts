import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { StrataError } from '../../shared/errors.js';
import type { Idempotency } from '../accept/index.js';
import { callerOf } from './auth.js';

const KEY = /^[\x21-\x7e](?:[\x20-\x7e]{0,189}[\x21-\x7e])?$/;

/**
 * Reads `Idempotency-Key`: 1 to 191 printable ASCII characters, of the caller's own making. The request is told from
 * others by a SHA-256 over its method, path, query and body, in which the order of properties does not count.
 * @throws invalid_request for a key of another form
 */
export function idempotencyOf(request: FastifyRequest): Idempotency | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (request.claimedKey) throw new StrataError('internal', `${request.url} keeps keys itself: say ownKey.`);
  if (typeof key !== 'string' || !KEY.test(key)) {
    throw new StrataError('invalid_request', 'An Idempotency-Key has 1 to 191 printable ASCII characters.', {
      field: 'Idempotency-Key',
    });
  }
  const [path = '', query = ''] = request.url.split('?', 2);
  // A dry run is another request than the removal that it is of.
  const asked = new URLSearchParams(query);
  asked.sort();
  const where = asked.size === 0 ? path : `${path}?${asked.toString()}`;
  const text = `${request.method}\n${where}\n${canonical(request.body)}`;
  const requestSha256 = createHash('sha256').update(text).digest('hex');
  return { tokenId: callerOf(request).id, key, requestSha256 };
}

/** JSON with the properties of every object in one order. */
function canonical(value: unknown): string {
  const text: string | undefined = JSON.stringify(value, (_name, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
  return text ?? '';
}
