import { JOB_KINDS } from '../../shared/jobs.js';
import type { DataSource, EntityManager } from 'typeorm';
import { Repository } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { recordEvents } from '../job/events.js';
import { JOB_TABLES, OPEN } from '../job/kinds.js';
import { removeLine } from '../job/line.js';
import { IS_LAYER } from '../chain/layers.js';
import {
  affectedRows,
  asking,
  inStatement,
  inTransaction,
  isDuplicate,
  isStillReferenced,
} from '../transaction.js';
import { type PageOf, type PageRequest, pageById, select } from '../page.js';
import { deleteRegistrations } from '../vm/registrations.js';

export type RepositoryChange = Partial<
  Pick<
    Repository,
    | 'name'
    | 'pool'
    | 'enabled'
    | 'minFreeBytes'
    | 'maxParallelJobs'
    | 'maxBytesPerSecond'
    | 'immutableDays'
    | 'maxChainLength'
    | 'validateQuickHours'
    | 'validateDeepDays'
    | 'validateBytesPerHour'
    | 'quickNextAt'
    | 'deepNextAt'
  >
>;

/** Repositories in the order of their ids. */
export async function listRepositories(ds: DataSource, page: PageRequest): Promise<PageOf<Repository>> {
  const query = ds.getRepository(Repository).createQueryBuilder('r');
  return pageById(query, 'r.id', page, (row) => row.id);
}

/** Id, name and root of every repository, in the order of their ids. */
export async function allRepositories(
  ds: DataSource,
): Promise<{ id: string; name: string; rootPath: string }[]> {
  return select(ds, 'SELECT id, name, root_path AS rootPath FROM repositories ORDER BY id');
}

/** @throws not_found */
export async function getRepository(ds: DataSource, id: string): Promise<Repository> {
  const row = await asking(() => ds.getRepository(Repository).findOneBy({ id }));
  if (!row) throw new StrataError('not_found', `There is no repository ${id}.`);
  return row;
}

interface NamedRepository {
  id: string;
  pool: string;
  enabled: number;
}

/**
 * The id of a repository that is named by its id or its name; an id wins.
 * @throws not_found
 */
export async function resolveRepository(ds: DataSource, idOrName: string): Promise<string> {
  return (await asking(() => named(ds, idOrName))).id;
}

/**
 * A repository that is named by its id or its name, as long as it is enabled.
 * @throws not_found, wrong_state
 */
export async function enabledRepository(
  tx: EntityManager,
  idOrName: string,
): Promise<Pick<NamedRepository, 'id' | 'pool'>> {
  const { enabled, ...repository } = await named(tx, idOrName);
  if (Number(enabled) === 1) return repository;
  throw new StrataError('wrong_state', `The repository ${idOrName} is disabled.`, { field: 'repository_id' });
}

async function named(db: DataSource | EntityManager, idOrName: string): Promise<NamedRepository> {
  const [row] = await db.query<NamedRepository[]>(
    'SELECT id, pool, enabled FROM repositories WHERE id = ? OR name = ? ORDER BY id = ? DESC LIMIT 1',
    [idOrName, idOrName, idOrName],
  );
  if (!row)
    throw new StrataError('not_found', `There is no repository ${idOrName}.`, { field: 'repository_id' });
  return row;
}

/** All pools that some repository names. */
export async function listPools(ds: DataSource): Promise<string[]> {
  const rows = await select<{ pool: string }>(ds, 'SELECT DISTINCT pool FROM repositories ORDER BY pool');
  return rows.map(({ pool }) => pool);
}

/**
 * Changes a repository and returns it as it is then.
 * @throws not_found, name_taken
 */
export async function changeRepository(
  ds: DataSource,
  id: string,
  change: RepositoryChange,
): Promise<Repository> {
  try {
    await ds.getRepository(Repository).update({ id }, change);
  } catch (error) {
    if (!isDuplicate(error, 'uq_repositories_name')) return asking(() => Promise.reject(error));
    throw new StrataError('name_taken', `There is a repository ${change.name ?? ''} already.`, {
      field: 'name',
      cause: error,
    });
  }
  return getRepository(ds, id);
}

/**
 * Gives a repository another root, unless somebody was faster, and notifies the webhooks.
 * @throws repository_busy while jobs of the repository run; name_taken when another repository has that root
 * @throws wrong_state when its root is not what the caller has seen any more
 */
export async function moveRepository(
  ds: DataSource,
  { id, name, rootPath }: Pick<Repository, 'id' | 'name' | 'rootPath'>,
  to: string,
): Promise<Repository> {
  try {
    await inTransaction(ds, async (tx) => {
      const row = await tx.findOne(Repository, { where: { id }, lock: { mode: 'pessimistic_write' } });
      if (row?.rootPath !== rootPath)
        throw new StrataError(
          'wrong_state',
          `Repository ${name} was moved or removed meanwhile: look again.`,
        );
      await refuseRunning(tx, row);
      await tx.query('UPDATE repositories SET root_path = ?, capacity_read_at = NULL WHERE id = ?', [to, id]);
      await recordEvents(tx, [{ type: 'repository.moved', subjectId: id }]);
    });
  } catch (error) {
    if (!isDuplicate(error, 'uq_repositories_root_path')) throw error;
    throw new StrataError('name_taken', `${to} is the root of another repository.`, {
      field: 'root_path',
      cause: error,
    });
  }
  return getRepository(ds, id);
}

/** A job that has begun works with the old root until its end. */
async function refuseRunning(tx: EntityManager, { id, name }: Repository): Promise<void> {
  for (const kind of JOB_KINDS) {
    const rows = await tx.query<{ id: string }[]>(
      `SELECT id FROM ${JOB_TABLES[kind]} WHERE repository_id = ? AND status = 'running' LIMIT 1`,
      [id],
    );
    const job = rows[0];
    if (!job) continue;
    throw new StrataError(
      'repository_busy',
      `Job ${job.id} runs on repository ${name}: wait until it has ended, or cancel it.`,
    );
  }
}

/** Shows in the catalogue how full a repository was. */
export async function saveCapacity(
  ds: DataSource,
  id: string,
  capacity: Pick<Repository, 'totalBytes' | 'usedBytes' | 'availableBytes'>,
  readAt: Date,
): Promise<void> {
  await asking(() => ds.getRepository(Repository).update({ id }, { ...capacity, capacityReadAt: readAt }));
}

/** @throws not_found */
export async function immutableDaysOf(ds: DataSource, id: string): Promise<number> {
  const [row] = await select<{ days: number }>(
    ds,
    'SELECT immutable_days AS days FROM repositories WHERE id = ?',
    [id],
  );
  if (!row) throw new StrataError('not_found', `There is no repository ${id}.`);
  return row.days;
}

/** @returns whether the repository had fewer */
export async function raiseImmutableDays(ds: DataSource, id: string, days: number): Promise<boolean> {
  const result: unknown = await inStatement(() =>
    ds.query('UPDATE repositories SET immutable_days = ? WHERE id = ? AND immutable_days < ?', [
      days,
      id,
      days,
    ]),
  );
  return affectedRows(result) === 1;
}

/**
 * Removes a repository, the VMs that are registered in it and the history of their jobs, if no backup of it has a file or
 * is going to have one.
 * @returns the repository as it was, so that its marker file can be removed
 * @throws not_found, repository_not_empty; repository_busy while a rebuild of it is open
 */
export async function deleteRepository(ds: DataSource, id: string): Promise<Repository> {
  return inTransaction(ds, async (tx) => {
    const row = await tx.findOne(Repository, { where: { id }, lock: { mode: 'pessimistic_write' } });
    if (!row) throw new StrataError('not_found', `There is no repository ${id}.`);
    const backups = await tx.query<unknown[]>(
      `SELECT 1 FROM backup_jobs WHERE repository_id = ? AND (status IN ${OPEN} OR ${IS_LAYER}) LIMIT 1`,
      [id],
    );
    if (backups.length > 0) throw notEmpty(row);
    try {
      await removeLine(tx, id);
      await deleteRegistrations(tx, 'repository_id = ?', id);
      await tx.query('DELETE FROM repositories WHERE id = ?', [id]);
    } catch (error) {
      // A backup that was accepted since the look above.
      if (isStillReferenced(error)) throw notEmpty(row, error);
      throw error;
    }
    return row;
  });
}

function notEmpty(row: Repository, cause?: unknown): StrataError {
  return new StrataError('repository_not_empty', `The repository ${row.name} still holds backups.`, {
    cause,
  });
}
