import { createHash, randomUUID } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { readSmallText } from '../../shared/files.js';
import { makeDirectory, renameOver, syncDirectory, writeDurably } from './durable.js';

/** Far more than a record has; what is longer does not match its checksum. */
const MOST_BYTES = 64 * 1024;

/**
 * A small JSON file that carries its own checksum (docs/on-disk-format.md, "Protections").
 * @returns its fields without the checksum; `invalid` where that does not match; undefined where there certainly is no file
 * @throws repository_unavailable when that cannot be told
 */
export async function readSealed(path: string): Promise<Record<string, unknown> | 'invalid' | undefined> {
  let text: string;
  try {
    text = await readSmallText(path, MOST_BYTES);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw new StrataError('repository_unavailable', `${path} cannot be read.`, { cause: error });
  }
  return parse(text) ?? 'invalid';
}

function parse(text: string): Record<string, unknown> | undefined {
  let fields: Record<string, unknown>;
  try {
    fields = { ...(JSON.parse(text) as object) };
  } catch {
    // Whatever it was, it is no JSON: the caller tells.
    return undefined;
  }
  const { sha256, ...rest } = fields;
  return sha256 === checksum(rest) ? rest : undefined;
}

/**
 * Writes or replaces such a file, whole and flushed, with the directories on its way.
 * @param root an existing directory above it
 */
export async function writeSealed(root: string, path: string, record: object): Promise<void> {
  const directory = dirname(path);
  await makeDirectory(root, directory);
  const temporary = join(directory, `.${basename(path, '.json')}.${randomUUID()}.partial`);
  await writeDurably(temporary, `${JSON.stringify({ ...record, sha256: checksum(record) }, null, 2)}\n`);
  await renameOver(temporary, path);
  await syncDirectory(directory);
}

function checksum(record: object): string {
  return createHash('sha256')
    .update(JSON.stringify(record, null, 2))
    .digest('hex');
}
