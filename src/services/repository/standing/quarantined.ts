import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { abortable, throwIfAborted } from '../../../shared/abort.js';
import { errnoOf, StrataError } from '../../../shared/errors.js';
import { readSmallText } from '../../../shared/files.js';
import { QUARANTINE_NAME } from '../scan.js';
import type { ImageOnDisk } from './facts.js';
import { readImagesAt } from './readImages.js';

/** One folder for each day on which files were set aside; anything else in the quarantine is somebody else's. */
const DAY = /^\d{4}-\d{2}-\d{2}$/;
const NOTE = '.reason.json';
/** Far more than a note has. */
const MOST_BYTES = 64 * 1024;

/** A file that was set aside, with what stands in the note beside it. */
export interface Quarantined {
  /** Relative to the root. */
  path: string;
  /** Where it was. */
  origin: string;
  /** The folder's day, as `2026-06-30`. */
  day: string;
  /** Undefined without a note that can be read. */
  reason: string | undefined;
  /** The note, relative to the root; undefined where there is none under the file's own name. */
  note: string | undefined;
}

/** The days of a repository's quarantine. @throws repository_unavailable when it cannot be listed */
export async function quarantineDays(root: string, signal: AbortSignal): Promise<string[]> {
  const entries = await entriesOf(join(root, QUARANTINE_NAME), signal);
  return entries.flatMap((entry) => (entry.isDirectory() && DAY.test(entry.name) ? [entry.name] : []));
}

/**
 * Files that were set aside on these days, notes left out.
 * @param directory only those of one disk's directory, relative to the root
 * @throws repository_unavailable when anything cannot be listed: what was not seen is not taken for gone
 */
export async function listQuarantined(
  root: string,
  { days, directory, signal }: { days: readonly string[]; directory?: string; signal: AbortSignal },
): Promise<Quarantined[]> {
  const found: Quarantined[] = [];
  for (const day of days) {
    const top = join(QUARANTINE_NAME, day);
    const paths = await filesBelow(root, directory === undefined ? top : join(top, directory), signal);
    const notes = new Set(paths.filter((path) => path.endsWith(NOTE)));
    for (const path of paths) {
      if (notes.has(path)) continue;
      const note = notes.has(path + NOTE) ? path + NOTE : undefined;
      const said = note === undefined ? undefined : await readNote(join(root, note));
      found.push({ path, origin: originOf(path, top, said?.file), day, reason: said?.reason, note });
    }
  }
  return found;
}

/** Why Strata has set an image aside that no catalogue knew; every other reason says that the image is nobody's loss. */
const OF_NO_CATALOGUE = [undefined, 'unknown_file', 'manifest_invalid', 'manifest_foreign', 'id_of_known'];

/** True where nobody has said that the backup is not wanted; without a note nobody has said anything. */
export function isOfNoCatalogue(reason: string | undefined): boolean {
  return OF_NO_CATALOGUE.includes(reason);
}

/** The images among them. */
export function readQuarantined(
  root: string,
  files: readonly Quarantined[],
  signal: AbortSignal,
): Promise<ImageOnDisk[]> {
  return readImagesAt(root, files, signal);
}

/** A second file of one name has a number at its end; its note has the name that it had. */
function originOf(path: string, top: string, said: string | undefined): string {
  const here = path.slice(top.length + 1);
  const fits = said !== undefined && dirname(said) === dirname(here) && here.startsWith(said);
  return fits ? join(dirname(here), basename(said)) : here;
}

async function readNote(path: string): Promise<{ file?: string; reason?: string } | undefined> {
  try {
    const note = { ...(JSON.parse(await readSmallText(path, MOST_BYTES)) as object) } as Record<
      string,
      unknown
    >;
    const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
    const file = text(note['file']);
    const reason = text(note['reason']);
    return { ...(file === undefined ? {} : { file }), ...(reason === undefined ? {} : { reason }) };
  } catch {
    // Half a note, or none: the file is then one of which nobody knows why it is here.
    return undefined;
  }
}

async function filesBelow(root: string, directory: string, signal: AbortSignal): Promise<string[]> {
  const paths: string[] = [];
  for (const entry of await entriesOf(join(root, directory), signal)) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) paths.push(...(await filesBelow(root, path, signal)));
    else paths.push(path);
  }
  return paths.sort();
}

async function entriesOf(path: string, signal: AbortSignal): Promise<Dirent[]> {
  try {
    return await abortable(readdir(path, { withFileTypes: true }), signal);
  } catch (error) {
    throwIfAborted(signal);
    if (errnoOf(error) === 'ENOENT') return [];
    throw new StrataError('repository_unavailable', `${path} cannot be listed.`, { cause: error });
  }
}
