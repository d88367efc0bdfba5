import type { DataSource } from '../../db/database.js';
import { recordEvents } from '../../db/job/events.js';
import { inTransaction } from '../../db/transaction.js';
import type { Health } from '../../entities/index.js';

/**
 * Notes in the catalogue what a restore or a merge has proved of a backup's content, and tells it: no later backup is put upon
 * content that is known to be wrong, even where a quick check, which reads no content, finds nothing. A proof of the
 * contrary (the read error has passed, the file was put back) takes the note away.
 */
export async function noteProof(ds: DataSource, backupId: string, right: boolean): Promise<void> {
  await inTransaction(ds, async (tx) => {
    const rows = await tx.query<{ health: Health; content_wrong_at: Date | null }[]>(
      'SELECT health, content_wrong_at FROM backup_jobs WHERE id = ? FOR UPDATE',
      [backupId],
    );
    const [row] = rows;
    if (!row || (right && row.content_wrong_at === null)) return;
    await tx.query(
      `UPDATE backup_jobs SET content_wrong_at = ${right ? 'NULL' : 'UTC_TIMESTAMP(3)'} WHERE id = ?`,
      [backupId],
    );
    // What a validation has called damaged is told, and cleared, by validations.
    const changes = row.health !== 'damaged' && right === (row.content_wrong_at !== null);
    if (changes)
      await recordEvents(tx, [{ type: right ? 'backup.cleared' : 'backup.damaged', subjectId: backupId }]);
  });
}
