// Apart from repositories.ts: a registration is all or nothing, and is taken back where the marker cannot be written.
import type { DataSource } from 'typeorm';
import { Repository } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { asDatabaseError, asking, isDuplicate } from '../transaction.js';
import type { RepositoryChange } from './repositories.js';

/** What a registration says of a repository. */
export type RepositoryFacts = Omit<RepositoryChange, 'quickNextAt' | 'deepNextAt'> &
  Pick<Repository, 'id' | 'name' | 'type' | 'rootPath' | 'pool' | 'immutableDays' | 'createdAt'>;

/** @throws name_taken when its name, its id or its root is that of another */
export async function addRepository(ds: DataSource, facts: RepositoryFacts): Promise<void> {
  try {
    await ds.getRepository(Repository).insert(facts);
  } catch (error) {
    throw explainTaken(error, facts);
  }
}

/** Which of the names that must be unique is taken. */
function explainTaken(error: unknown, { name, rootPath }: RepositoryFacts): StrataError {
  const taken = (field: string, message: string) =>
    new StrataError('name_taken', message, { field, cause: error });
  if (isDuplicate(error, 'uq_repositories_name'))
    return taken('name', `There is a repository ${name} already.`);
  if (isDuplicate(error, 'PRIMARY'))
    return taken('root_path', `${rootPath} is the directory of a registered repository.`);
  if (isDuplicate(error, 'uq_repositories_root_path'))
    return taken('root_path', `${rootPath} is the root of another repository.`);
  return asDatabaseError(error);
}

/** Takes a registration back that has just been made. */
export async function takeBackRepository(ds: DataSource, id: string): Promise<void> {
  await asking(() => ds.getRepository(Repository).delete({ id }));
}
