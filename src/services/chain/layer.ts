import { type LayerRow, layerRows } from '../../db/chain/layers.js';
import type { DataSource, EntityManager } from '../../db/database.js';
import type { BackupType, RequestedType } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import type { HealthFacts } from './health.js';
import type { Link } from './lineage.js';

/** A file of a chain: a restore point, or an expired backup whose file may still carry others. */
export interface Layer extends Link, HealthFacts {
  /** Its place in the chain: a parent has a smaller one. */
  seq: number;
  chainId: string;
  restorePointId: string;
  vmContextId: string;
  diskId: number;
  repositoryId: string;
  type: BackupType;
  requestedType: RequestedType;
  /**
   * It is no restore point any more and only carries those above it. A merge may have changed it: its own content, length
   * and sidecars say nothing, and nothing new is put upon it.
   */
  expired: boolean;
  /** The instant of its data. */
  createdAt: Date;
  /** Image, relative to the repository's root. */
  path: string;
  /** Bytes of the disk. */
  virtualSize: number;
  /** Bytes that its file takes. */
  sizeBytes: number;
  contentId: string;
  changeId: string | null;
  /** How often the disk had been seen with another size when its bytes were read; null where that is not known. */
  sizeChanges: number | null;
  /** Not to be removed yet: `protected_until`, or the repository's `immutable_days`. */
  protected: boolean;
  /** A restore of it is waiting or running. */
  inUse: boolean;
}

/**
 * The layers of a chain, oldest first, as the catalogue has them; what lies in the directory is not looked at. Dates are
 * judged by the database's clock.
 * @throws database_unavailable; wrong_state for a row that the database's constraints exclude
 */
export async function loadLayers(db: DataSource | EntityManager, chainId: string): Promise<Layer[]> {
  return (await layerRows(db, chainId)).map(toLayer);
}

function toLayer(row: LayerRow): Layer {
  const { type, path, virtualSize, sizeBytes, contentId } = row;
  if (type === null || path === null || virtualSize === null || sizeBytes === null || contentId === null)
    throw new StrataError('wrong_state', `Backup ${row.id} is ${row.status} and has no file.`);
  const { status, ...same } = row;
  return {
    ...same,
    type,
    path,
    contentId,
    expired: status === 'expired',
    seq: Number(row.seq),
    virtualSize: Number(virtualSize),
    sizeBytes: Number(sizeBytes),
    damageLocated: Number(row.damageLocated) === 1,
    protected: Number(row.protected) === 1,
    inUse: Number(row.inUse) === 1,
  };
}
