import type { EntityManager } from 'typeorm';
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
