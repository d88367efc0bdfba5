import { join } from 'node:path';
import { removeFiles, syncDirectory } from '../../services/repository/durable.js';
import { assertRepository, MARKER_NAME } from '../../services/repository/marker.js';

/**
 * Makes a directory that was a repository an ordinary one again, so that it can be registered anew.
 * @throws repository_unavailable, repository_marker_foreign when the marker there is not this repository's
 */
export async function removeMarker(root: string, repositoryId: string): Promise<void> {
  await assertRepository(root, repositoryId);
  await removeFiles([join(root, MARKER_NAME)]);
  await syncDirectory(root);
}
