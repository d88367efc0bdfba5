import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';

/**
 * Lists that are longer are looked through by compiled code. TypeBox's own search for errors builds a path for every
 * item: 5 s for a change list of 200,000 extents, during which the process answers nobody.
 */
const LONG = 64;
/** Items of one list that are complained about. */
const MOST_ITEMS = 8;
/** Levels of nesting; the schemas have six. */
const DEEPEST = 10;

/** A long list that was taken out of a value. */
export interface LongList {
  /** Path of the list in the value: names and indexes. */
  path: (string | number)[];
  items: TSchema;
  /** The first items that do not fit, by index. */
  wrong: [index: number, item: unknown][];
  /** Set when the list has more items than it may. */
  limit: number | undefined;
}

interface ObjectOrArray {
  properties?: Record<string, TSchema>;
  anyOf?: TSchema[];
  items?: TSchema;
  maxItems?: number;
}

/**
 * Takes the long lists out of a value: in the copy, one item that fits stands for all of them, or none where none fits.
 * Objects lose most of their properties where they have too many.
 */
export function takeLongLists(schema: TSchema, value: unknown): { rest: unknown; lists: LongList[] } {
  const lists: LongList[] = [];
  return { rest: take(schema, value, [], lists), lists };
}

function take(schema: TSchema, value: unknown, path: (string | number)[], lists: LongList[]): unknown {
  const { properties, items, maxItems }: ObjectOrArray = schema;
  if (Array.isArray(value)) {
    if (!items) return value;
    const list: unknown[] = value;
    if (list.length > LONG) return takeOne(list, { items, maxItems, path }, lists);
    return list.map((item, index) => take(items, item, [...path, index], lists));
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    tellingEntries(schema, value).map(([name, inner]) => {
      const known = properties && Object.hasOwn(properties, name) ? properties[name] : undefined;
      return [name, known ? take(known, inner, [...path, name], lists) : inner];
    }),
  );
}

/** Of an object with very many properties, those that the schema names and as many others as a complaint needs. */
function tellingEntries(schema: TSchema, value: object): [string, unknown][] {
  const { properties, anyOf = [] }: ObjectOrArray = schema;
  const known = [properties, ...anyOf.map((member: ObjectOrArray) => member.properties)].flatMap((each) =>
    Object.keys(each ?? {}),
  );
  const names = new Set([...known.filter((name) => Object.hasOwn(value, name)), ...firstNames(value, LONG)]);
  return Object.entries(Object.fromEntries([...names].map((name) => [name, Reflect.get(value, name)])));
}

/** The names of an object's first properties; counts no further, because an object may have a million of them. */
function firstNames(value: object, most: number): string[] {
  const names: string[] = [];
  for (const name in value) {
    if (Object.hasOwn(value, name) && names.push(name) === most) break;
  }
  return names;
}

/**
 * True when an object in the value has more properties than any schema of the API lets it have. What is nested deeper
 * than any schema is not looked at: the schema will not take it anyway.
 */
export function isCrowded(value: unknown, depth = DEEPEST): boolean {
  if (typeof value !== 'object' || value === null || depth === 0) return false;
  if (Array.isArray(value)) return value.some((item) => isCrowded(item, depth - 1));
  const names = firstNames(value, LONG + 1);
  return names.length > LONG || names.some((name) => isCrowded(Reflect.get(value, name), depth - 1));
}

function takeOne(
  list: unknown[],
  { items, maxItems, path }: { items: TSchema; maxItems: number | undefined; path: (string | number)[] },
  lists: LongList[],
): unknown[] {
  const compiled = Compile(items);
  const wrong: LongList['wrong'] = [];
  let sample: unknown[] = [];
  for (const [index, item] of list.entries()) {
    if (compiled.Check(item)) {
      if (sample.length === 0) sample = [item];
    } else if (wrong.push([index, item]) === MOST_ITEMS) break;
  }
  const limit = maxItems !== undefined && list.length > maxItems ? maxItems : undefined;
  lists.push({ path, items, wrong, limit });
  return sample;
}
