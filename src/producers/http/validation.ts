import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { StrataError } from '../../shared/errors.js';
import { isCrowded } from './longLists.js';
import { explain } from './schemaErrors.js';

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
    const checked = part === 'body' ? value : readNumbers(schema, value);
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

/** In a path and a query everything is text: whole numbers are read where the schema has one, and nothing else is. */
function readNumbers(schema: TSchema, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { properties = {} } = schema as { properties?: Record<string, { type?: string }> };
  return Object.fromEntries(
    Object.entries(value).map(([name, text]: [string, unknown]) => {
      const wanted = Object.hasOwn(properties, name) && properties[name]?.type === 'integer';
      return [name, wanted && typeof text === 'string' && /^-?\d{1,15}$/.test(text) ? Number(text) : text];
    }),
  );
}
