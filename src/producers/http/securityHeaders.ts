import { isPage } from './access.js';
import type { Api } from './deps.js';

/** Answers of the API are data: nothing in them is ever to be run, framed or guessed. */
const FOR_DATA = "default-src 'none'; frame-ancestors 'none'";

/** The pages load their own scripts and nothing from elsewhere; both set styles from script. */
const FOR_PAGES = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The headers that go with every answer for this URL. */
export function securityHeaders(url: string): Record<string, string> {
  return {
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': 'same-origin',
    'content-security-policy': isPage(url) ? FOR_PAGES : FOR_DATA,
    'cache-control': 'no-store',
  };
}

/** Adds them to every answer, errors included. */
export function addSecurityHeaders(app: Api): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ ...securityHeaders(request.url), 'x-request-id': request.id });
  });
}
