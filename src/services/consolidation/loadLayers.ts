import { OPEN } from '../../db/job/kinds.js';
import type { DataSource, EntityManager } from '../../db/database.js';
import { IS_LAYER } from '../../db/chain/layers.js';
import { asking } from '../../db/transaction.js';
import type { BackupType, Health } from '../../entities/index.js';
import type { LayerFact } from './facts.js';

interface Row {
  id: string;
  seq: string;
  parent_backup_id: string | null;
  backup_type: BackupType;
  status: LayerFact['status'];
  health: Health;
  content_wrong: number;
  protected: number;
  in_use: number;
  size_bytes: string;
  virtual_size: string;
  content_id: string;
  repository_path: string;
}

/**
 * The layers of a chain, oldest first, as the catalogue has them; what lies in the directory is not looked at. Dates are
 * judged by the database's clock.
 * @throws database_unavailable
 */
export async function loadLayers(db: DataSource | EntityManager, chainId: string): Promise<LayerFact[]> {
  const rows = await asking(() =>
    db.query<Row[]>(
      `SELECT b.id, b.seq, b.parent_backup_id, b.backup_type, b.status, b.health, b.size_bytes, b.virtual_size, b.content_id,
              b.repository_path, (b.content_wrong_at IS NOT NULL) AS content_wrong,
              ((b.protected_until IS NOT NULL AND b.protected_until > UTC_TIMESTAMP(3))
                OR COALESCE(b.completed_at + INTERVAL r.immutable_days DAY > UTC_TIMESTAMP(3), 0)) AS protected,
              EXISTS (SELECT 1 FROM restore_jobs j WHERE j.backup_id = b.id AND j.status IN ${OPEN}) AS in_use
       FROM (SELECT * FROM backup_jobs WHERE chain_id = ? AND ${IS_LAYER}) b JOIN repositories r ON r.id = b.repository_id
       ORDER BY b.seq`,
      [chainId],
    ),
  );
  return rows.map((row) => ({
    id: row.id,
    seq: Number(row.seq),
    parentId: row.parent_backup_id,
    type: row.backup_type,
    status: row.status,
    health: row.health,
    contentWrong: Number(row.content_wrong) === 1,
    protected: Number(row.protected) === 1,
    inUse: Number(row.in_use) === 1,
    strangers: 0,
    sizeBytes: Number(row.size_bytes),
    virtualSize: Number(row.virtual_size),
    contentId: row.content_id,
    path: row.repository_path,
  }));
}
