import { join } from 'node:path';
import type { DataSource } from '../../db/database.js';
import type { ChainLease } from '../../db/job/lease.js';
import { placeOfChain } from '../../db/chain/place.js';
import { getJob, type JobRows } from '../../db/job/getJob.js';
import { getRepository } from '../../db/repository/repositories.js';
import type { MaintenanceType, Repository } from '../../entities/index.js';
import type { JobKind } from '../../shared/jobs.js';
import { makeDirectory, removeDirectories } from '../repository/durable.js';
import { diskDirectory } from '../repository/layout.js';
import { assertRepository } from '../repository/marker.js';
import { removeDeadPartials } from '../repository/partials.js';
import type { Under } from './under.js';

/** Where the files of a chain are. */
export interface Place {
  repository: Repository;
  /** The repository's root. */
  root: string;
  /** The disk's directory, relative to the root. */
  directory: string;
  chainId: string;
  vmContextId: string;
  diskId: number;
}

/** The place of a job, with the job's row. */
export interface OpenPlace<Kind extends JobKind> extends Place {
  job: JobRows[Kind];
}

/**
 * The first step of every attempt: reads the job's row and where its files are, and sees that its repository is there.
 * @throws not_found, database_unavailable, repository_unavailable, repository_marker_foreign
 */
export async function openPlace<Kind extends JobKind>(
  under: Pick<Under, 'deps' | 'held'>,
  kind: Kind,
): Promise<OpenPlace<Kind>> {
  const opened = await lookUpPlace(under.deps.ds, under.held.lease, kind);
  await assertPlace(opened);
  return opened;
}

/** The same without a look at the repository: for what the catalogue alone can refuse. @throws not_found, database_unavailable */
export async function lookUpPlace<Kind extends JobKind>(
  ds: DataSource,
  { jobId, chainId, repositoryId }: Pick<ChainLease, 'jobId' | 'chainId' | 'repositoryId'>,
  kind: Kind,
): Promise<OpenPlace<Kind>> {
  const job = await getJob(ds, kind, jobId);
  const { vmContextId, diskId } = await placeOfChain(ds, chainId);
  const repository = await getRepository(ds, repositoryId);
  const directory = diskDirectory(vmContextId, diskId);
  return { job, repository, root: repository.rootPath, directory, chainId, vmContextId, diskId };
}

/** Sees that the repository of a place is there, now. @throws repository_unavailable, repository_marker_foreign */
export async function assertPlace({ root, repository }: Pick<Place, 'root' | 'repository'>): Promise<void> {
  await assertRepository(root, repository.id);
}

/**
 * Before anything is written: makes the disk's directory and removes the temporary files of dead attempts. Whoever holds an
 * older fence can publish nothing from then on.
 * @returns the directory, absolute
 * @throws repository_unavailable
 */
export async function clearPlace(
  { held: { lease }, io: { signal } }: Pick<Under, 'held' | 'io'>,
  place: Place,
): Promise<string> {
  const directory = join(place.root, place.directory);
  await makeDiskDirectory(place, directory);
  await removeDeadPartials(directory, lease.fence, signal);
  return directory;
}

/** Where the repository went away just before, the directories came to be below its empty mount point. */
async function makeDiskDirectory(place: Place, directory: string): Promise<void> {
  const made = await makeDirectory(place.root, directory);
  if (made === undefined) return;
  try {
    await assertPlace(place);
  } catch (error) {
    await removeDirectories(made, directory);
    throw error;
  }
}

// A file of its own because workers, who choose the service of a job by its type, do not import the database's code.

export type { MaintenanceType } from '../../entities/index.js';

/** Which work a maintenance job is. @throws not_found, database_unavailable */
export async function maintenanceType(ds: DataSource, jobId: string): Promise<MaintenanceType> {
  return (await getJob(ds, 'maintenance', jobId)).type;
}
