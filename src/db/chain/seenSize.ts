import type { DataSource } from 'typeorm';
import type { VmDisk } from '../../entities/index.js';
import { affectedRows, asking } from '../transaction.js';
import type { ChainLease } from '../job/lease.js';

/**
 * Notes the size that a disk has now, before its bytes are read: a disk that was cut and grown back between two backups
 * has the same size in both, and a look in between is all that shows it. The count goes into the backup's row.
 * Asked and written one by one: between them a registration may state another size, whose change then counts for the
 * next backup, and never for none.
 * @param virtualSize bytes
 * @returns how often the disk was seen with another size than the time before
 */
export async function noteSeenSize(
  ds: DataSource,
  lease: ChainLease,
  { vmContextId, diskId }: Pick<VmDisk, 'vmContextId' | 'diskId'>,
  virtualSize: number,
): Promise<number> {
  return asking(async () => {
    const [row] = await ds.query<{ virtual_size: string | null; size_changes: number }[]>(
      'SELECT virtual_size, size_changes FROM vm_disks WHERE vm_context_id = ? AND disk_id = ?',
      [vmContextId, diskId],
    );
    const before = Number(row?.size_changes ?? 0);
    const seen = row?.virtual_size == null ? null : Number(row.virtual_size);
    const changed = seen !== null && seen !== virtualSize ? 1 : 0;
    if (seen !== virtualSize) {
      const noted: unknown = await ds.query(
        `UPDATE vm_disks SET size_changes = ?, virtual_size = ?
         WHERE vm_context_id = ? AND disk_id = ? AND size_changes = ? AND virtual_size <=> ?`,
        [before + changed, virtualSize, vmContextId, diskId, before, seen],
      );
      if (affectedRows(noted) === 0) return before;
    }
    await ds.query('UPDATE backup_jobs SET size_changes = ? WHERE id = ? AND fence = ?', [
      before + changed,
      lease.jobId,
      lease.fence,
    ]);
    return before + changed;
  });
}
