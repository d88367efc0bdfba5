import { createReadStream } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import type { WrittenExtents } from '../client/index.js';
import { isStrataError, StrataError } from '../shared/errors.js';
import type { Extent } from '../shared/extents.js';

/** Bytes; what is longer follows the request as it is, and is never in memory. */
const LARGE = 4 * 1024 * 1024;

/** A change list for the request, or one that follows it. */
export type ExtentFile = { extents: Extent[] } | { follow: WrittenExtents };

/**
 * Reads a change list: a JSON array of `{offset, length}`, or lines of `offset length`, in bytes. Empty lines and lines
 * that begin with # are passed over. Whether the extents fit the disk, the server tells.
 * @throws source_missing when the file cannot be read
 * @throws extents_invalid for anything else than such a list, where it is short
 */
export async function readExtentFile(path: string): Promise<ExtentFile> {
  try {
    const { size } = await stat(path);
    if (size > LARGE) return { follow: { type: await typeOf(path), open: () => createReadStream(path) } };
    const text = await readFile(path, 'utf8');
    return { extents: isJson(text) ? parseJson(text) : parseLines(text) };
  } catch (error) {
    if (isStrataError(error)) throw error;
    const reason = `The change list ${path} cannot be read: ${(error as Error).message}.`;
    throw new StrataError('source_missing', reason, { cause: error, field: 'changed_extents' });
  }
}

async function typeOf(path: string): Promise<WrittenExtents['type']> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(256) });
    return isJson(buffer.toString('latin1', 0, bytesRead)) ? 'application/json' : 'text/plain';
  } finally {
    await file.close();
  }
}

function isJson(text: string): boolean {
  return text.trimStart().startsWith('[');
}

function parseJson(text: string): Extent[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (error) {
    throw invalid('The change list is not JSON.', error);
  }
  if (!Array.isArray(list)) throw invalid('The change list is not a JSON array.');
  return list.map((entry: unknown, index) => {
    const { offset, length } = (entry ?? {}) as Record<string, unknown>;
    if (typeof offset === 'number' && typeof length === 'number') return { offset, length };
    throw invalid(`Entry ${index} of the change list has no offset and length.`);
  });
}

function parseLines(text: string): Extent[] {
  return text.split('\n').flatMap((line, index) => {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) return [];
    const match = /^(\d+)[\s,]+(\d+)$/.exec(trimmed);
    if (!match) throw invalid(`Line ${index + 1} of the change list is not "offset length".`);
    return [{ offset: Number(match[1]), length: Number(match[2]) }];
  });
}

function invalid(message: string, cause?: unknown): StrataError {
  return new StrataError('extents_invalid', message, { field: 'changed_extents', cause });
}
