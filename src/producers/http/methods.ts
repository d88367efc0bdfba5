import type { FastifyReply, FastifyRequest } from 'fastify';
import { StrataError } from '../../shared/errors.js';
import type { Api } from './deps.js';
import { sendProblem } from './problem.js';

/**
 * Tells a path that does not exist from one that exists and has other methods: 405 with `Allow` (RFC 9110, 15.5.6). Must be
 * called before any route is registered.
 */
export function refuseOtherMethods(app: Api): void {
  const methods = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ method, url }) => {
    const known = methods.get(url) ?? new Set();
    for (const each of [method].flat()) known.add(each);
    methods.set(url, known);
  });
  app.setNotFoundHandler((request, reply) => answer(methods, request, reply));
}

function answer(
  methods: ReadonlyMap<string, ReadonlySet<string>>,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const path = request.url.split('?', 1)[0] ?? '';
  const allowed = [...methods].flatMap(([url, known]) => (isPathOf(url, path) ? [...known] : []));
  if (allowed.length === 0) {
    return sendProblem(
      new StrataError('not_found', `There is no ${request.method} ${request.url}.`),
      request,
      reply,
    );
  }
  const list = [...new Set(allowed)].sort().join(', ');
  reply.header('allow', list);
  const message = `There is no ${request.method} ${path}; it takes ${list}.`;
  return sendProblem(new StrataError('method_not_allowed', message), request, reply);
}

/** Whether a path fits the URL of a route, such as `/vms/:id`. A `*` at its end takes anything. */
function isPathOf(url: string, path: string): boolean {
  const wanted = url.split('/');
  const given = path.split('/');
  const open = wanted.at(-1) === '*';
  if (open ? given.length < wanted.length : given.length !== wanted.length) return false;
  return wanted.every(
    (part, index) => (open && index === wanted.length - 1) || fits(part, given[index] ?? ''),
  );
}

function fits(part: string, given: string): boolean {
  return part.startsWith(':') ? given !== '' : part === given;
}
