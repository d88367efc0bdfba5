import type { DataSource, EntityManager } from 'typeorm';
import type { DiskSource } from '../../shared/sources.js';
import { StrataError } from '../../shared/errors.js';
import { parseJson } from '../job/journal.js';
import { select } from '../page.js';

/** What the rows of a chain and its disk say about the next backup. */
export interface NextFacts {
  chainId: string;
  latestBackupId: string | null;
  fullBackupId: string | null;
  trackerDistrust: number;
  backupsSinceFull: number;
  fullAt: Date | null;
  /** Bytes, as the disk was last seen or registered. */
  seenSize: number | null;
  /** How often the disk was seen with another size. */
  sizeChanges: number;
  source: DiskSource | null;
  /** Of the restore point, or now. */
  instant: Date;
}

/** @param restorePointId whose instant is asked for; null for now. @throws not_found, database_unavailable */
export async function nextFacts(
  db: DataSource | EntityManager,
  chainId: string,
  restorePointId: string | null,
): Promise<NextFacts> {
  type Row = Omit<NextFacts, 'source' | 'seenSize'> & { source: unknown; seenSize: string | null };
  const [row] = await select<Row>(
    db,
    `SELECT c.id AS chainId, c.latest_backup_id AS latestBackupId, c.full_backup_id AS fullBackupId,
            c.tracker_distrust AS trackerDistrust, c.backups_since_full AS backupsSinceFull, c.full_at AS fullAt,
            d.virtual_size AS seenSize, d.size_changes AS sizeChanges, d.source,
            COALESCE((SELECT p.created_at FROM restore_points p WHERE p.id = ?), UTC_TIMESTAMP(3)) AS instant
     FROM backup_chains c JOIN vm_disks d ON d.vm_context_id = c.vm_context_id AND d.disk_id = c.disk_id WHERE c.id = ?`,
    [restorePointId, chainId],
  );
  if (!row) throw new StrataError('not_found', `There is no chain ${chainId}.`);
  return {
    ...row,
    seenSize: row.seenSize === null ? null : Number(row.seenSize),
    source: parseJson<DiskSource | null>(row.source),
  };
}

/** The chain of a disk, if it has one. @throws database_unavailable */
export async function chainIdOf(
  ds: DataSource,
  { vmContextId, diskId }: { vmContextId: string; diskId: number },
): Promise<string | undefined> {
  const rows = await select<{ id: string }>(
    ds,
    'SELECT id FROM backup_chains WHERE vm_context_id = ? AND disk_id = ?',
    [vmContextId, diskId],
  );
  return rows[0]?.id;
}
