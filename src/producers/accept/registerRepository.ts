import { addRepository, type RepositoryFacts, takeBackRepository } from '../../db/repository/register.js';
import type { RepositoryCreate } from '../../contract/index.js';
import { normalize } from 'node:path';
import { allRepositories, getRepository } from '../../db/repository/repositories.js';
import type { Repository } from '../../entities/index.js';
import { readImmutableDays, writeImmutableDays } from '../../services/repository/immutability.js';
import { checkRoot, createMarker, markedRepositoryId } from '../../services/repository/marker.js';
import { assertSeparate } from '../../services/repository/separate.js';
import { withDeadline } from '../../shared/abort.js';
import { StrataError } from '../../shared/errors.js';
import { newId } from '../../shared/ids.js';
import { checkSimpleName } from '../../shared/names.js';
import type { AcceptDeps } from './deps.js';

/** A client waits for the file systems of other repositories for so long at most. */
const OTHERS_MS = 5_000;

/**
 * Registers a repository: the row first, then the marker file in its directory; a marker that cannot be written takes
 * the row back, so that a failed registration changes nothing.
 */
export async function registerRepository(deps: AcceptDeps, body: RepositoryCreate): Promise<Repository> {
  checkSimpleName(body.name, 'name');
  const pool = checkSimpleName(body.pool ?? 'default', 'pool');
  const rootPath = checkRootPath(body.root_path);
  await checkRoot(rootPath);
  const id = await idFor(deps, body, rootPath);
  const repository: RepositoryFacts = {
    id,
    name: body.name,
    type: body.type,
    rootPath,
    pool,
    enabled: true,
    minFreeBytes: body.min_free_bytes ?? 0,
    maxParallelJobs: body.max_parallel_jobs ?? null,
    maxBytesPerSecond: body.max_bytes_per_second ?? null,
    immutableDays: await immutableDaysFor(body, rootPath, id),
    maxChainLength: body.max_chain_length ?? null,
    ...(body.validate_quick_hours === undefined ? {} : { validateQuickHours: body.validate_quick_hours }),
    ...(body.validate_deep_days === undefined ? {} : { validateDeepDays: body.validate_deep_days }),
    validateBytesPerHour: body.validate_bytes_per_hour ?? null,
    createdAt: deps.clock.now(),
  };
  await addRepository(deps.ds, repository);
  try {
    // After the row: of two that are registered at a time, one in the other, at least one sees the other.
    await checkSeparate(deps, repository);
    // Before the marker: a directory with a marker and without a row could not be registered again.
    const marked = await markedRepositoryId(rootPath);
    const isOurs = marked === undefined || marked === id;
    if (isOurs && repository.immutableDays > 0)
      await writeImmutableDays(rootPath, id, repository.immutableDays);
    await createMarker(rootPath, repository.id, deps.clock.now());
  } catch (error) {
    await takeBackRepository(deps.ds, id);
    throw error;
  }
  return getRepository(deps.ds, id);
}

async function checkSeparate({ ds }: AcceptDeps, { id, rootPath }: RepositoryFacts): Promise<void> {
  const others = (await allRepositories(ds)).filter((other) => other.id !== id);
  const deadline = withDeadline(undefined, OTHERS_MS, 'The real paths of other repositories');
  try {
    await assertSeparate(rootPath, others, deadline.signal);
  } finally {
    deadline.clear();
  }
}

/** A new id, or, for a repository that is taken over, the one in its marker: the manifests in it name that. */
async function idFor(deps: AcceptDeps, body: RepositoryCreate, rootPath: string): Promise<string> {
  if (!body.adopt) return newId('repo', deps.clock.now());
  const id = await markedRepositoryId(rootPath);
  if (id === undefined) {
    throw new StrataError(
      'invalid_request',
      `${rootPath} has no marker of a repository that could be taken over.`,
      { field: 'adopt' },
    );
  }
  if (!/^repo_[0-9a-z]{1,59}$/.test(id)) {
    throw new StrataError(
      'repository_marker_foreign',
      `The marker of ${rootPath} holds no id of a repository.`,
      { field: 'root_path' },
    );
  }
  return id;
}

/** For a repository that is taken over: the days of its record, or those of the request where these are more. */
async function immutableDaysFor(
  { adopt, immutable_days: asked }: RepositoryCreate,
  rootPath: string,
  id: string,
): Promise<number> {
  if (!adopt) return asked ?? 0;
  const said = await readImmutableDays(rootPath, id);
  if (said !== 'invalid') return Math.max(said ?? 0, asked ?? 0);
  if (asked !== undefined) return asked;
  throw new StrataError(
    'invalid_request',
    `The record of the immutable days in ${rootPath} is malformed: say how many they are.`,
    { field: 'immutable_days' },
  );
}

/** @returns the path in its shortest form @throws path_not_allowed */
export function checkRootPath(path: string): string {
  const normal = normalize(path).replace(/(.)\/$/, '$1');
  if (!path.startsWith('/') || path.includes('\0') || path.split('/').includes('..') || normal === '/') {
    throw new StrataError('path_not_allowed', 'The root is an absolute path without "..", and not "/".', {
      field: 'root_path',
    });
  }
  return normal;
}
