import type { DataSource } from 'typeorm';
import { inStatement } from '../transaction.js';
import { select } from '../page.js';

/** What the files of one disk take, in bytes. */
export interface ChainSpace {
  chainId: string;
  vmContextId: string;
  vmName: string;
  diskId: number;
  points: number;
  pointsBytes: number;
  /** Of expired backups whose files are still there. */
  expiredBytes: number;
}

/** Notes what a comparison has found that the catalogue lacks. @throws database_unavailable */
export async function noteUncatalogued(
  ds: DataSource,
  repositoryId: string,
  { files, bytes }: { files: number; bytes: number },
): Promise<void> {
  await inStatement(() =>
    ds.query(
      'UPDATE repositories SET uncatalogued_files = ?, uncatalogued_bytes = ?, compared_at = UTC_TIMESTAMP(3) WHERE id = ?',
      [files, bytes, repositoryId],
    ),
  );
}

/** Who holds what in a repository, the largest first. */
export async function spaceOfChains(
  ds: DataSource,
  repositoryId: string,
  limit: number,
): Promise<ChainSpace[]> {
  const rows = await select<Record<keyof ChainSpace, string>>(
    ds,
    `SELECT c.id AS chainId, c.vm_context_id AS vmContextId, v.vm_name AS vmName, c.disk_id AS diskId,
            SUM(b.status = 'completed') AS points, SUM(IF(b.status = 'completed', b.size_bytes, 0)) AS pointsBytes,
            SUM(IF(b.status = 'expired', b.size_bytes, 0)) AS expiredBytes
     FROM backup_jobs b JOIN backup_chains c ON c.id = b.chain_id JOIN vm_contexts v ON v.vm_context_id = c.vm_context_id
     WHERE b.repository_id = ? AND (b.status = 'completed' OR (b.status = 'expired' AND b.file_removed_at IS NULL))
     GROUP BY c.id, c.vm_context_id, v.vm_name, c.disk_id ORDER BY SUM(b.size_bytes) DESC, c.id LIMIT ${limit}`,
    [repositoryId],
  );
  return rows.map((row) => ({
    chainId: row.chainId,
    vmContextId: row.vmContextId,
    vmName: row.vmName,
    diskId: Number(row.diskId),
    points: Number(row.points),
    pointsBytes: Number(row.pointsBytes),
    expiredBytes: Number(row.expiredBytes),
  }));
}
