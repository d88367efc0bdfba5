import { stat } from 'node:fs/promises';
import type { RepositoryAdopt } from '../../contract/index.js';
import { allRepositories, getRepository, moveRepository } from '../../db/repository/repositories.js';
import type { Repository } from '../../entities/index.js';
import { checkRoot, markedRepositoryId } from '../../services/repository/marker.js';
import { assertSeparate } from '../../services/repository/separate.js';
import { abortable, withDeadline } from '../../shared/abort.js';
import { errnoOf, isStrataError, StrataError } from '../../shared/errors.js';
import type { AcceptDeps } from './deps.js';
import { checkRootPath } from './registerRepository.js';

/** A client waits for the old place, whose server may not answer any more, for so long at most. */
const OLD_PLACE_MS = 5_000;

/**
 * Takes a repository that is known up at another path: its file system was mounted elsewhere, or its directory moved. The
 * marker at the new path says which repository it is; a repository that is at that path already is answered as it is.
 * @throws invalid_request without a marker there, not_found when the catalogue has no such repository
 * @throws repository_still_there while another directory at the old path has the marker, too: two copies would diverge
 * @throws repository_busy while jobs of the repository run
 * @throws repository_unavailable when the old place does not answer, which is not absence
 * @throws path_not_allowed, repository_marker_foreign, name_taken, database_unavailable
 */
export async function adoptRepository(
  deps: Pick<AcceptDeps, 'ds' | 'log'>,
  { root_path: path }: RepositoryAdopt,
): Promise<Repository> {
  const { ds, log } = deps;
  const root = checkRootPath(path);
  const repository = await repositoryAt(deps, root);
  if (repository.rootPath === root) return repository;
  const deadline = withDeadline(undefined, OLD_PLACE_MS, 'The old place of the repository');
  try {
    await refuseTwoPlaces(repository, root, deadline.signal);
    const others = (await allRepositories(ds)).filter(({ id }) => id !== repository.id);
    await assertSeparate(root, others, deadline.signal);
  } finally {
    deadline.clear();
  }
  const moved = await moveRepository(ds, repository, root);
  const { id, name, rootPath: from } = repository;
  log.warn({ repository: name, id, from, to: root }, 'the repository has moved');
  return moved;
}

/** The repository whose marker lies in the directory. */
async function repositoryAt({ ds }: Pick<AcceptDeps, 'ds'>, root: string): Promise<Repository> {
  await checkRoot(root);
  const id = await markedRepositoryId(root);
  if (id === undefined) {
    throw new StrataError(
      'invalid_request',
      `${root} has no marker of a repository: is its file system mounted? A new directory is registered by \`strata repo add\`.`,
      { field: 'root_path' },
    );
  }
  try {
    return await getRepository(ds, id);
  } catch (error) {
    if (!isStrataError(error, 'not_found')) throw error;
    throw new StrataError(
      'not_found',
      `The catalogue has no repository ${id}, whose marker lies in ${root}. Where its database is lost, \`strata repo add NAME ${root} --adopt\` takes it over.`,
      { field: 'root_path', cause: error },
    );
  }
}

/** The same directory under two names, by a link or a bind mount, is one place. */
async function refuseTwoPlaces(
  { id, name, rootPath }: Repository,
  root: string,
  signal: AbortSignal,
): Promise<void> {
  if ((await markerAt(rootPath, signal)) !== id) return;
  if (await isSameDirectory(rootPath, root, signal)) return;
  throw new StrataError(
    'repository_still_there',
    `Repository ${name} is still at ${rootPath}: the directory there has the marker, too. Unmount or rename the one that is not to be used; two copies that are both written to cannot be joined again.`,
    { field: 'root_path' },
  );
}

async function markerAt(root: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    return await abortable(markedRepositoryId(root), signal);
  } catch (error) {
    if (errnoOf(error) === 'ENOTDIR') return undefined;
    throw new StrataError(
      'repository_unavailable',
      `It is unknown whether the repository is still at ${root}, its place until now: unmount that place, or let it answer.`,
      { cause: error, field: 'root_path' },
    );
  }
}

async function isSameDirectory(one: string, other: string, signal: AbortSignal): Promise<boolean> {
  const [a, b] = await abortable(
    Promise.all([one, other].map((path) => stat(path, { bigint: true }))),
    signal,
  );
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino;
}
