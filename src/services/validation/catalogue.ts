import type { DataSource } from '../../db/database.js';
import { asDatabaseError } from '../../db/transaction.js';
import { BackupChain, BackupJob, Repository } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { diskDirectory } from '../repository/layout.js';
import type { BackupRow, ChainFacts } from './facts.js';
import { byId, lineageOf } from './lineage.js';

/** What the catalogue says of a chain. */
export interface ChainCatalogue {
  chainId: string;
  repository: { id: string; rootPath: string };
  directory: string;
  /** Completed backups, and the expired ones that they stand on; oldest first. */
  backups: BackupRow[];
  otherRows: ChainFacts['otherRows'];
}

/**
 * Reads a chain with its backups. Under the chain's lease nothing of it changes meanwhile.
 * @throws not_found, database_unavailable
 */
export async function loadCatalogue(
  ds: DataSource,
  chainId: string,
  repositoryId: string,
): Promise<ChainCatalogue> {
  try {
    const chain = await ds.getRepository(BackupChain).findOneBy({ id: chainId });
    const repository = await ds.getRepository(Repository).findOneBy({ id: repositoryId });
    if (!chain || !repository) {
      throw new StrataError('not_found', `There is no chain ${chainId} in a repository ${repositoryId}.`);
    }
    const rows = await ds.getRepository(BackupJob).find({ where: { chainId }, order: { seq: 'ASC' } });
    const backups = withCarriers(rows.filter(hasFile).map(toBackupRow));
    const known = new Set(backups.map(({ id }) => id));
    return {
      chainId,
      repository: { id: repository.id, rootPath: repository.rootPath },
      directory: diskDirectory(chain.vmContextId, chain.diskId),
      backups,
      otherRows: rows.flatMap(({ id, status, repositoryPath }) =>
        known.has(id) || repositoryPath === null ? [] : [{ id, status, path: repositoryPath }],
      ),
    };
  } catch (error) {
    throw asDatabaseError(error);
  }
}

/** The completed backups of a chain and the expired ones that they stand on, oldest first. @throws database_unavailable */
export async function loadBackupRows(ds: DataSource, chainId: string): Promise<BackupRow[]> {
  try {
    const rows = await ds.getRepository(BackupJob).find({ where: { chainId }, order: { seq: 'ASC' } });
    return withCarriers(rows.filter(hasFile).map(toBackupRow));
  } catch (error) {
    throw asDatabaseError(error);
  }
}

function hasFile({ status, fileRemovedAt }: BackupJob): boolean {
  return status === 'completed' || (status === 'expired' && fileRemovedAt === null);
}

/** Without the expired backups on which no restore point stands. */
function withCarriers(rows: readonly BackupRow[]): BackupRow[] {
  const rowsById = byId(rows);
  const points = rows.filter((row) => !row.expired);
  const needed = new Set(points.flatMap(({ id }) => lineageOf(rowsById, id).layers.map((layer) => layer.id)));
  return rows.filter(({ id }) => needed.has(id));
}

/** A backup as the checks see it. @throws wrong_state for a row that the database's constraints exclude */
function toBackupRow(row: BackupJob): BackupRow {
  const { repositoryPath, virtualSize, sizeBytes, contentId } = row;
  if (repositoryPath === null || virtualSize === null || sizeBytes === null || contentId === null) {
    throw new StrataError('wrong_state', `Backup ${row.id} is ${row.status} and has no file.`);
  }
  return {
    id: row.id,
    seq: row.seq,
    chainId: row.chainId,
    restorePointId: row.restorePointId,
    vmContextId: row.vmContextId,
    diskId: row.diskId,
    repositoryId: row.repositoryId,
    backupType: row.backupType,
    requestedType: row.requestedType,
    parentBackupId: row.parentBackupId,
    changeId: row.changeId,
    health: row.health,
    damageLocated: row.damageLocated,
    contentWrongAt: row.contentWrongAt,
    path: repositoryPath,
    virtualSize,
    sizeBytes,
    contentId,
    ...(row.status === 'expired' ? { expired: true as const } : {}),
  };
}
