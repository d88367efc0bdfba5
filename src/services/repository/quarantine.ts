import type { Stats } from 'node:fs';
import { link, lstat, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { makeDirectory, removeFiles, syncDirectory, writeDurably } from './durable.js';
import { QUARANTINE_NAME } from './scan.js';

/** What stands beside a file in quarantine, as `<name>.reason.json`. */
export interface QuarantineReason {
  file: string;
  reason: string;
  message: string;
  chain_id: string | null;
  backup_id: string | null;
  job_id: string;
  quarantined_at: string;
}

/** Longest name, in bytes, that still has room for the suffix; file systems give a name 255. */
const LONGEST_NAME = 240;
const MOST_NAMESAKES = 1000;

/**
 * Sets a file aside: `<root>/.quarantine/<date>/<its relative path>`, with the reason beside it. Nothing is deleted or
 * replaced: the file has its new name, flushed, before it loses the old one. May be killed anywhere and repeated.
 * @param file relative to the root
 * @returns where it is now, relative to the root; undefined when it was gone already
 * @throws repository_unsupported when the place is on another file system or without hard links
 */
export async function quarantineFile(
  root: string,
  file: string,
  reason: QuarantineReason,
): Promise<string | undefined> {
  const to = await keepInQuarantine(root, file, reason);
  if (to === undefined) return undefined;
  const from = join(root, file);
  // A directory has one name and is there already.
  await removeFiles([from]);
  await syncDirectory(dirname(from));
  return to;
}

/**
 * The first half of `quarantineFile`: the file has both names. For one whose name is about to be given to another. A directory
 * in its place, which can have one name only, is moved.
 */
export async function keepInQuarantine(
  root: string,
  file: string,
  reason: QuarantineReason,
): Promise<string | undefined> {
  const from = join(root, file);
  const source = await statOf(from);
  if (!source) return undefined;
  const directory = join(QUARANTINE_NAME, reason.quarantined_at.slice(0, 10), dirname(file));
  await makeDirectory(root, join(root, directory));
  const name = await freeName(join(root, directory), basename(file), source);
  const note = Buffer.byteLength(name) > LONGEST_NAME ? [...name].slice(0, 60).join('') : name;
  const notePath = join(root, directory, `${note}.reason.json`);
  // An attempt that was killed may have left half of it.
  await removeFiles([notePath]);
  await writeDurably(notePath, `${JSON.stringify(reason, null, 2)}\n`);
  const to = join(root, directory, name);
  if (source.isDirectory()) await rename(from, to);
  else await giveName(from, to);
  if (!sameFile(source, await statOf(to))) throw new StrataError('file_exists', `${to} was taken meanwhile.`);
  for (let path = directory; path !== '.'; path = dirname(path)) await syncDirectory(join(root, path));
  await syncDirectory(root);
  return join(directory, name);
}

/** The file's own name, or one with a number where another file has it already. */
async function freeName(directory: string, name: string, source: Stats): Promise<string> {
  for (let number = 0; number < MOST_NAMESAKES; number++) {
    const candidate = number === 0 ? name : `${name}.${number}`;
    const taken = await statOf(join(directory, candidate));
    // The same file: an earlier attempt was killed between the two names.
    if (!taken || sameFile(source, taken)) return candidate;
  }
  throw new StrataError('file_exists', `${directory} holds ${MOST_NAMESAKES} files called ${name}.`);
}

async function giveName(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    switch (errnoOf(error)) {
      case 'EEXIST':
        return;
      case 'EXDEV':
      case 'EPERM':
      case 'ENOTSUP':
        throw new StrataError('repository_unsupported', `${from} cannot be linked to ${to}.`, {
          cause: error,
        });
      default:
        throw error;
    }
  }
}

function sameFile(one: Stats, other: Stats | undefined): boolean {
  return other !== undefined && one.ino === other.ino && one.dev === other.dev;
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
