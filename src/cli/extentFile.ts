import { readFile } from 'node:fs/promises';
import { StrataError } from '../shared/errors.js';
import type { Extent } from '../shared/extents.js';

/**
 * Reads a change list: a JSON array of `{offset, length}`, or lines of `offset length`, in bytes. Empty lines and lines
 * that begin with # are passed over. Whether the extents fit the disk, the server tells.
 * @throws source_missing when the file cannot be read
 * @throws extents_invalid for anything else than such a list
 */
export async function readExtentFile(path: string): Promise<Extent[]> {
  const text = await readFile(path, 'utf8').catch((error: Error) => {
    const reason = `The change list ${path} cannot be read: ${error.message}.`;
    throw new StrataError('source_missing', reason, { cause: error, field: 'changed_extents' });
  });
  return text.trimStart().startsWith('[') ? parseJson(text) : parseLines(text);
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
