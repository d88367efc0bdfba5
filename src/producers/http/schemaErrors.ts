import type { TSchema } from 'typebox';
import { Errors } from 'typebox/value';
import type { FieldError } from '../../shared/errors.js';
import { type LongList, takeLongLists } from './longLists.js';

/** The parts of TypeBox's errors that are read here. */
interface SchemaError {
  keyword: string;
  schemaPath: string;
  instancePath: string;
  params: object;
  message: string;
}

interface Json {
  [name: string]: unknown;
}

/**
 * Says what is wrong with a value in the caller's own words: fields such as `disks[0].disk_id`, and for a choice of
 * objects (`source`) the complaints of the one that was meant.
 */
export function explain(schema: TSchema, value: unknown): FieldError[] {
  const found = new Map<string, string>();
  for (const { field, message } of explainAt(schema, value, '')) {
    if (!found.has(field)) found.set(field, message);
  }
  return [...found].map(([field, message]) => ({ field, message }));
}

function explainAt(schema: TSchema, value: unknown, prefix: string): FieldError[] {
  const { rest, lists } = takeLongLists(schema, value);
  const emptied = new Set(lists.map(({ path }) => pointerOf(path)));
  const errors: SchemaError[] = Errors(schema, rest);
  const short = errors.filter(
    ({ keyword, instancePath }) => keyword !== 'minItems' || !emptied.has(instancePath),
  );
  return [
    ...explainShort(schema, rest, short, prefix),
    ...lists.flatMap((list) => explainLong(list, value, prefix)),
  ];
}

function pointerOf(path: readonly (string | number)[]): string {
  return path.map((step) => `/${step}`).join('');
}

function explainLong({ path, items, wrong, limit }: LongList, value: unknown, prefix: string): FieldError[] {
  const field = fieldOf(value, pointerOf(path), prefix);
  const tooMany = limit === undefined ? [] : [{ field, message: `must not have more than ${limit} items` }];
  return [...tooMany, ...wrong.flatMap(([index, item]) => explainAt(items, item, `${field}[${index}]`))];
}

function explainShort(
  schema: TSchema,
  value: unknown,
  errors: readonly SchemaError[],
  prefix: string,
): FieldError[] {
  const choices = new Set<string>();
  return errors.flatMap((error): FieldError[] => {
    const at = error.schemaPath.indexOf('/anyOf');
    const inChoice = at >= 0 || error.keyword === 'anyOf';
    if (!inChoice) return explainOne(schema, error, fieldOf(value, error.instancePath, prefix));
    const choicePath = at >= 0 ? error.schemaPath.slice(0, at) : error.schemaPath;
    const where = locate(schema, value, choicePath, error.instancePath);
    if (choices.has(where.pointer)) return [];
    choices.add(where.pointer);
    return explainChoice(where.schema, where.value, fieldOf(value, where.pointer, prefix));
  });
}

function explainOne(
  schema: TSchema,
  { keyword, schemaPath, params, message }: SchemaError,
  field: string,
): FieldError[] {
  const facts = params as Json;
  switch (keyword) {
    case 'required':
      return (facts['requiredProperties'] as string[]).map((name) => ({
        field: join(field, name),
        message: 'is required',
      }));
    case 'additionalProperties':
      // Told by the errors of keyword `boolean`, one for each property.
      return [];
    case 'boolean':
      return schemaPath.endsWith('/additionalProperties') ? [{ field, message: 'is not known here' }] : [];
    case 'type':
      return [{ field, message: `must be ${String(facts['type'])}` }];
    case 'enum':
      return [{ field, message: `must be one of ${(facts['allowedValues'] as string[]).join(', ')}` }];
    case 'pattern':
      return [{ field, message: `must be ${formAt(schema, schemaPath) ?? 'of another form'}` }];
    default:
      return [{ field, message }];
  }
}

/** The words for the expression that a text has to fit (`Formed` of the contract). */
function formAt(schema: TSchema, schemaPath: string): string | undefined {
  const steps = schemaPath.split('/').slice(1).map(unescape);
  const at = steps.reduce<Json | undefined>((here, step) => here?.[step] as Json | undefined, schema as Json);
  return at?.['x-form'] as string | undefined;
}

/** A union is either `T | null`, or objects that differ in the constant of their property `type`. */
function explainChoice(schema: TSchema, value: unknown, field: string): FieldError[] {
  const members = (schema as Json)['anyOf'] as TSchema[];
  const [only, ...others] = members.filter((member) => (member as Json)['type'] !== 'null');
  if (!only) return [{ field, message: 'must be null' }];
  if (others.length === 0) return explainAt(only, value, field);
  if (typeof value !== 'object' || value === null) return [{ field, message: 'must be object' }];
  const wanted = (value as Json)['type'];
  const meant = members.find((member) => typeOf(member) === wanted);
  if (meant) return explainAt(meant, value, field);
  const types = members.map(typeOf).join(', ');
  return [{ field: join(field, 'type'), message: `must be one of ${types}` }];
}

function typeOf(member: TSchema): unknown {
  const properties = (member as Json)['properties'] as Json | undefined;
  return (properties?.['type'] as Json | undefined)?.['const'];
}

/** Walks the schema to a union, and the value along with it: some steps of the schema go down in the value, some do not. */
function locate(schema: TSchema, value: unknown, schemaPath: string, instancePath: string) {
  const names = instancePath.split('/').slice(1);
  let [here, there, pointer]: [unknown, unknown, string] = [schema, value, ''];
  const steps = schemaPath.split('/').slice(1);
  for (let index = 0; index < steps.length; index++) {
    const step = steps[index] ?? '';
    here = (here as Json)[step];
    const named = step === 'properties' || step === 'patternProperties';
    if (named) here = (here as Json)[steps[++index] ?? ''];
    if (!named && step !== 'items' && step !== 'additionalProperties') continue;
    const name = names.shift() ?? '';
    pointer += `/${name}`;
    there = (there as Json)[unescape(name)];
  }
  return { schema: here as TSchema, value: there, pointer };
}

/** `/disks/0/disk_id` as `disks[0].disk_id`. */
function fieldOf(value: unknown, pointer: string, prefix: string): string {
  let [field, here] = [prefix, value];
  for (const name of pointer.split('/').slice(1).map(unescape)) {
    field = Array.isArray(here) ? `${field}[${name}]` : join(field, name);
    here = typeof here === 'object' && here !== null ? (here as Json)[name] : undefined;
  }
  return field;
}

function join(field: string, name: string): string {
  return field === '' ? name : `${field}.${name}`;
}

/** RFC 6901. */
function unescape(name: string): string {
  return name.replaceAll('~1', '/').replaceAll('~0', '~');
}
