import { imageLooksLike, isImageFormat, refuseReferences } from '../../qcow2/index.js';
import { isStrataError } from '../../shared/errors.js';
import { holdFile } from './holdFile.js';
import type { SourceSpec } from './types.js';

/** Something that will perhaps keep a source from being backed up, or from being what was meant. */
export interface SourceDoubt {
  /** An error code, or `looks_like_<format>`. */
  code: string;
  message: string;
}

/** What will be refused by every backup, whoever looks. */
const CERTAIN: ReadonlySet<string> = new Set([
  'source_encrypted',
  'source_references_other_file',
  'source_unsupported',
]);

/**
 * Looks at the beginning of a file that may be backed up some day, without a lock and without a tool. Nothing is said of what
 * lies beyond the roots, or is not there for this host.
 * @throws source_encrypted, source_references_other_file, source_unsupported: such an image is never backed up
 */
export async function lookAtFile(
  { path, format }: Extract<SourceSpec, { type: 'file' }>,
  roots: readonly string[],
): Promise<SourceDoubt | undefined> {
  try {
    const file = await holdFile(path, roots, 'path');
    try {
      const held = `/proc/self/fd/${file.fd}`;
      if (format === 'raw') return doubtRaw(await imageLooksLike(held));
      if (isImageFormat(format)) await refuseReferences(held, format);
      return undefined;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!isStrataError(error)) throw error;
    const { code, message } = error;
    if (CERTAIN.has(code)) throw error;
    return code === 'path_not_allowed' ? undefined : { code, message };
  }
}

/** The guest of a raw disk decides what it looks like: that is no reason to refuse it. */
function doubtRaw(like: string | undefined): SourceDoubt | undefined {
  if (like === undefined) return undefined;
  return {
    code: `looks_like_${like}`,
    message: `The file is stated to be raw and begins like a ${like} image. If it is one, state that: as raw, the bytes of the file are the disk.`,
  };
}
