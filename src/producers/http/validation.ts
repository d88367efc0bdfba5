import type { FastifySchemaCompiler, FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { StrataError } from '../../shared/errors.js';
import { isCrowded } from './longLists.js';
import { explain } from './schemaErrors.js';
import { type Api, API_PREFIX } from './deps.js';

const PARTS: Record<string, string> = {
  body: 'body',
  querystring: 'query',
  params: 'path',
  headers: 'headers',
};

/** Checks a part of a request by its schema. Nothing in a body is converted: `"1"` is not a number. */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const compiled = Compile(schema);
  const part = PARTS[httpPart ?? 'body'] ?? 'request';
  return (value: unknown) => {
    const checked = part === 'body' ? value : readWords(schema, value);
    // Compiled code would try every property of an object with a million of them before it counts them.
    if (!isCrowded(checked) && compiled.Check(checked)) return { value: checked };
    const fields = explain(schema, checked);
    const first = fields[0];
    const what = first ? `: ${first.field === '' ? 'it' : first.field} ${first.message}` : '';
    return {
      error: new StrataError('invalid_request', `The ${part} does not fit its schema${what}.`, { fields }),
    };
  };
};

/** In a path and a query everything is text: whole numbers and true/false are read where the schema has one, and nothing else is. */
function readWords(schema: TSchema, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { properties = {} } = schema as { properties?: Record<string, { type?: string }> };
  return Object.fromEntries(
    Object.entries(value).map(([name, text]: [string, unknown]) => {
      const type = Object.hasOwn(properties, name) ? properties[name]?.type : undefined;
      return [name, typeof text === 'string' ? readWord(type, text) : text];
    }),
  );
}

function readWord(type: string | undefined, text: string): unknown {
  if (type === 'integer' && /^-?\d{1,15}$/.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

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
