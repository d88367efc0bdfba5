import { access, constants, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { readSmallText } from '../../shared/files.js';
import { makeDirectory, publishFile, removeFiles, syncDirectory, writeDurably } from './durable.js';

/** A directory without this file is not a repository: perhaps its file system is not mounted (invariant 6). */
export const MARKER_NAME = '.strata-repository.json';

/** Far more than a marker has; what is longer is none. */
const MOST_BYTES = 64 * 1024;

interface Marker {
  format: 'strata-repository';
  version: 1;
  repository_id: string;
  created_at: string;
}

/**
 * Makes a directory a repository. An existing marker of the same repository is left as it is.
 * @throws repository_marker_foreign when it belongs to another repository
 * @throws repository_unsupported when the file system has no hard links
 */
export async function createMarker(root: string, repositoryId: string, now: Date): Promise<void> {
  await makeDirectory(dirname(root), root);
  const found = await readMarker(root);
  if (found) {
    if (found.repository_id === repositoryId) return;
    throw new StrataError(
      'repository_marker_foreign',
      `${root} belongs to repository ${found.repository_id}.`,
      {
        field: 'root_path',
      },
    );
  }
  const marker: Marker = {
    format: 'strata-repository',
    version: 1,
    repository_id: repositoryId,
    created_at: now.toISOString(),
  };
  const temporary = join(root, `.strata-repository.${repositoryId}.partial`);
  await removeFiles([temporary]);
  await writeDurably(temporary, `${JSON.stringify(marker, null, 2)}\n`);
  try {
    await publishFile(temporary, join(root, MARKER_NAME));
  } finally {
    await removeFiles([temporary]);
  }
  await syncDirectory(root);
}

/**
 * Checks that the directory is this repository, now.
 * @throws repository_unavailable when the directory or its marker is missing or cannot be read
 * @throws repository_marker_foreign when it is another repository
 */
export async function assertRepository(root: string, repositoryId: string): Promise<void> {
  let marker: Marker | undefined;
  try {
    marker = await readMarker(root);
  } catch (error) {
    throw new StrataError(
      'repository_unavailable',
      `The marker of the repository at ${root} cannot be read.`,
      { cause: error },
    );
  }
  if (!marker) {
    throw new StrataError(
      'repository_unavailable',
      `${root} has no ${MARKER_NAME}: is its file system mounted?`,
    );
  }
  if (marker.repository_id !== repositoryId) {
    throw new StrataError(
      'repository_marker_foreign',
      `${root} belongs to repository ${marker.repository_id}, not ${repositoryId}.`,
    );
  }
}

/** Checks that a directory could become a repository: a directory if it exists, writable. */
export async function checkRoot(root: string): Promise<void> {
  try {
    const found = await stat(root);
    if (!found.isDirectory())
      throw new StrataError('invalid_request', `${root} is not a directory.`, { field: 'root_path' });
    await access(root, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    if (error instanceof StrataError) throw error;
    throw new StrataError('invalid_request', `${root} cannot be used: ${(error as Error).message}`, {
      field: 'root_path',
      cause: error,
    });
  }
}

/** The id in the directory's marker; undefined when there is certainly no marker. */
export async function markedRepositoryId(root: string): Promise<string | undefined> {
  return (await readMarker(root))?.repository_id;
}

async function readMarker(root: string): Promise<Marker | undefined> {
  let text: string;
  try {
    text = await readSmallText(join(root, MARKER_NAME), MOST_BYTES);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  let marker: Partial<Marker>;
  try {
    marker = JSON.parse(text) as Partial<Marker>;
  } catch (error) {
    throw new StrataError('repository_unavailable', `The marker of ${root} is not JSON.`, { cause: error });
  }
  if (marker.format !== 'strata-repository' || typeof marker.repository_id !== 'string') {
    throw new StrataError('repository_unavailable', `The marker of ${root} is not one of Strata's.`);
  }
  return marker as Marker;
}

/**
 * Makes a directory that was a repository an ordinary one again, so that it can be registered anew.
 * @throws repository_unavailable, repository_marker_foreign when the marker there is not this repository's
 */
export async function removeMarker(root: string, repositoryId: string): Promise<void> {
  await assertRepository(root, repositoryId);
  await removeFiles([join(root, MARKER_NAME)]);
  await syncDirectory(root);
}
