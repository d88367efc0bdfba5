import type { DataSource } from '../../db/database.js';
import { asking } from '../../db/transaction.js';

/**
 * Notes in the catalogue what a restore has proved of a backup's content: no later backup is put upon content that is
 * known to be wrong, even where a quick check, which reads no content, finds nothing. A proof of the contrary (the read
 * error has passed, the file was put back) takes the note away.
 */
export async function noteProof(ds: DataSource, backupId: string, right: boolean): Promise<void> {
  await asking(() =>
    ds.query(
      `UPDATE backup_jobs SET content_wrong_at = ${right ? 'NULL' : 'UTC_TIMESTAMP(3)'} WHERE id = ?`,
      [backupId],
    ),
  );
}
