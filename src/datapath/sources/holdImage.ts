import { mkdir, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import {
  type ForeignImage,
  heldPath,
  type ImageFormat,
  inheritedPath,
  namedExtents,
} from '../../qcow2/index.js';
import { isStrataError, StrataError } from '../../shared/errors.js';
import { randomPart } from '../../shared/ids.js';
import { holdFile, type HeldFile } from './holdFile.js';
import type { SourcePolicy } from './types.js';

/** A VMDK has an extent per 2 GB at most: 4 TiB, and far fewer than a process may have open. */
const MOST_EXTENTS = 2048;

/** All files of an image, held open. */
export interface HeldImage {
  file: HeldFile;
  foreign: ForeignImage;
  close: () => Promise<void>;
}

/**
 * Holds an image and every file that its descriptor names, before any tool opens one of them.
 * @throws as holdFile, of the extents too; source_too_complex
 */
export async function holdImage(
  path: string,
  format: ImageFormat,
  { roots, scratchDir, sandbox }: SourcePolicy,
  field: string,
): Promise<HeldImage> {
  const files: HeldFile[] = [];
  let directory: string | undefined;
  const close = async () => {
    await Promise.all(files.map((file) => file.close()));
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  };
  try {
    const file = await holdFile(path, roots, field);
    files.push(file);
    if (format === 'vmdk') {
      files.push(...(await holdExtents(file, roots, field)));
      if (files.length > 1) directory = await nameFiles(files, scratchDir);
    }
    const foreign: ForeignImage = {
      files,
      ...(directory === undefined ? {} : { directory }),
      // Of a raw image nothing is parsed.
      ...(sandbox && format !== 'raw' ? { sandbox } : {}),
    };
    return { file, foreign, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function holdExtents(file: HeldFile, roots: readonly string[], field: string): Promise<HeldFile[]> {
  const names = await namedExtents(heldPath({ files: [file] }) ?? '');
  const others = names.filter((name) => isPlain(name) && name !== file.name);
  if (others.length > MOST_EXTENTS) {
    const message = `The VMDK image names ${others.length} files; ${MOST_EXTENTS} are read at most.`;
    throw new StrataError('source_too_complex', message, { field });
  }
  const extents: HeldFile[] = [];
  try {
    for (const name of others) {
      const extent = await holdNamed(join(dirname(file.path), name), roots, field);
      if (extent) extents.push(extent);
    }
    return extents;
  } catch (error) {
    await Promise.all(extents.map((extent) => extent.close()));
    throw error;
  }
}

/** Nothing where no file is: more is taken for a name than QEMU opens, which complains itself of what it misses. */
async function holdNamed(
  path: string,
  roots: readonly string[],
  field: string,
): Promise<HeldFile | undefined> {
  try {
    const extent = await holdFile(path, roots, field);
    // Where its name is a link, that is still what the descriptor calls it.
    return { ...extent, name: basename(path) };
  } catch (error) {
    if (isStrataError(error, 'source_missing')) return undefined;
    throw error;
  }
}

/** What is not is refused by the inspection, before a tool opens anything. */
function isPlain(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
}

/** Gives each file its name, as a link to what the tool inherits: QEMU looks for extents beside the descriptor. */
async function nameFiles(files: readonly HeldFile[], scratchDir: string): Promise<string> {
  const directory = join(scratchDir, `${randomPart(10)}.image`);
  await mkdir(directory, { mode: 0o755 });
  for (const [index, { name }] of files.entries()) {
    await symlink(inheritedPath(index), join(directory, name));
  }
  return directory;
}
