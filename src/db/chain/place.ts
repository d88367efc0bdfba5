import type { EntityManager } from 'typeorm';
import type { JobStatus } from '../../shared/jobs.js';
import { StrataError } from '../../shared/errors.js';
import { asking } from '../transaction.js';

/** Whose chain it is, and where its files are. */
export interface ChainPlace {
  chainId: string;
  vmContextId: string;
  diskId: number;
  repositoryId: string;
  pool: string;
  /** The repository's root. */
  rootPath: string;
}

/** @throws not_found, database_unavailable */
export async function placeOfChain(db: Pick<EntityManager, 'query'>, chainId: string): Promise<ChainPlace> {
  const [place] = await asking(() =>
    db.query<ChainPlace[]>(
      `SELECT c.id AS chainId, c.vm_context_id AS vmContextId, c.disk_id AS diskId, r.id AS repositoryId, r.pool,
              r.root_path AS rootPath
       FROM backup_chains c JOIN vm_contexts v ON v.vm_context_id = c.vm_context_id
       JOIN repositories r ON r.id = v.repository_id WHERE c.id = ?`,
      [chainId],
    ),
  );
  if (!place) throw new StrataError('not_found', `There is no chain ${chainId}.`);
  return place;
}

/** @returns undefined where there is no such backup */
export async function placeOfBackup(
  tx: Pick<EntityManager, 'query'>,
  backupId: string,
): Promise<(Pick<ChainPlace, 'chainId' | 'repositoryId' | 'pool'> & { status: JobStatus }) | undefined> {
  const [found] = await tx.query<(ChainPlace & { status: JobStatus })[]>(
    `SELECT b.chain_id AS chainId, b.repository_id AS repositoryId, b.status, r.pool FROM backup_jobs b
     JOIN repositories r ON r.id = b.repository_id WHERE b.id = ?`,
    [backupId],
  );
  return found;
}
