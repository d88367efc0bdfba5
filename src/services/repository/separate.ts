import { lstat, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { abortable } from '../../shared/abort.js';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { isUnder } from '../../shared/files.js';
import { MARKER_NAME } from './marker.js';

/**
 * Refuses a root that lies in another repository or has one in it, wherever symbolic links lead: the outer one's
 * reconciliation would set the inner one's files aside as unknown, and both would count the same room as theirs.
 * @param others the registered repositories but this one
 * @param signal until when the others' file systems may take to answer; one that does not is compared by its name
 * @throws repository_marker_foreign
 */
export async function assertSeparate(
  root: string,
  others: readonly { name: string; rootPath: string }[],
  signal: AbortSignal,
): Promise<void> {
  const real = await realPath(root);
  for (const { name, rootPath } of others) {
    const other = await realPathUntil(rootPath, signal);
    if (isUnder(real, other)) throw foreign(`${root} lies in the root of repository ${name}, ${rootPath}.`);
    if (isUnder(other, real)) throw foreign(`${root} has the root of repository ${name} in it, ${rootPath}.`);
  }
  // Of another installation, whose catalogue is not ours.
  for (let above = dirname(real); above !== dirname(above); above = dirname(above)) {
    if (await hasMarker(above)) throw foreign(`${root} lies in a repository: ${above} has a ${MARKER_NAME}.`);
  }
}

/** The real path of what is there, and the names of what is not yet. */
async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    return join(await realPath(dirname(path)), basename(path));
  }
}

async function realPathUntil(path: string, signal: AbortSignal): Promise<string> {
  try {
    return await abortable(realPath(path), signal);
  } catch (error) {
    if (errnoOf(error) === undefined && !signal.aborted) throw error;
    return path;
  }
}

async function hasMarker(directory: string): Promise<boolean> {
  try {
    await lstat(join(directory, MARKER_NAME));
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

function foreign(message: string): StrataError {
  return new StrataError('repository_marker_foreign', message, { field: 'root_path' });
}
