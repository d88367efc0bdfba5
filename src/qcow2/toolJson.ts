import { StrataError } from '../shared/errors.js';

/** An object of a tool's JSON, of which nothing is known yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** @throws tool_output_invalid if the text is not JSON */
export function parseToolJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new StrataError('tool_output_invalid', 'A QEMU tool printed something that is not JSON.', {
      cause: error,
      details: { start: text.slice(0, 200) },
    });
  }
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @throws tool_output_invalid if the value is no object */
export function jsonObject(value: unknown, what: string): JsonObject {
  if (!isJsonObject(value)) throw unexpected(what, 'an object', value);
  return value;
}

/** @throws tool_output_invalid if the value is no array */
export function jsonArray(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw unexpected(what, 'an array', value);
  return value;
}

/** A field that must be an array. */
export function arrayField(object: JsonObject, key: string): readonly unknown[] {
  return jsonArray(object[key], key);
}

/** A field that must be a string. */
export function textField(object: JsonObject, key: string): string {
  const value = object[key];
  if (typeof value !== 'string') throw unexpected(key, 'a string', value);
  return value;
}

/** A field that must be a number of bytes, clusters or errors: a non-negative integer below 2^53. */
export function countField(object: JsonObject, key: string): number {
  const value = object[key];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw unexpected(key, 'a non-negative integer below 2^53', value);
  }
  return value;
}

/** A field that must be true or false. */
export function flagField(object: JsonObject, key: string): boolean {
  const value = object[key];
  if (typeof value !== 'boolean') throw unexpected(key, 'true or false', value);
  return value;
}

/** The same field by `read`, or the fallback where the tool left it out. */
export function fieldOr<T, F>(
  object: JsonObject,
  key: string,
  read: (object: JsonObject, key: string) => T,
  fallback: F,
): T | F {
  return object[key] === undefined ? fallback : read(object, key);
}

/** What `build` makes of a field, or no properties at all where the tool left the field out. */
export function optionalField<T, R extends object>(
  object: JsonObject,
  key: string,
  read: (object: JsonObject, key: string) => T,
  build: (value: T) => R,
): Partial<R> {
  return object[key] === undefined ? {} : build(read(object, key));
}

function unexpected(what: string, wanted: string, value: unknown): StrataError {
  return new StrataError('tool_output_invalid', `A QEMU tool printed "${what}" that is not ${wanted}.`, {
    details: { what, value: JSON.stringify(value)?.slice(0, 200) },
  });
}
