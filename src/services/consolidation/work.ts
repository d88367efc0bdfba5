import { placeOfChain } from '../../db/chain/place.js';
import type { DataSource } from '../../db/database.js';
import { getRepository } from '../../db/repository/repositories.js';
import type { Repository } from '../../entities/index.js';
import type { HeldLease } from '../job/holdLease.js';
import type { ServiceDeps } from '../deps.js';
import { diskDirectory } from '../repository/layout.js';
import type { Progress } from './progress.js';

/** What every step of a consolidation works with. */
export interface Work {
  deps: Pick<ServiceDeps, 'ds' | 'clock' | 'scratchDir'>;
  held: HeldLease;
  progress: Progress;
  place: Place;
}

/** Where the files of a chain are. */
export interface Place {
  repository: Repository;
  /** The repository's root. */
  root: string;
  /** The disk's directory, relative to the root. */
  directory: string;
}

/** @throws not_found, database_unavailable */
export async function loadPlace(ds: DataSource, chainId: string): Promise<Place> {
  const { vmContextId, diskId, repositoryId } = await placeOfChain(ds, chainId);
  const repository = await getRepository(ds, repositoryId);
  return { repository, root: repository.rootPath, directory: diskDirectory(vmContextId, diskId) };
}
