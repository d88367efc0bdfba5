import type { DataSource, EntityManager } from 'typeorm';
import type { Health } from '../../entities/index.js';
import { recordEvents } from '../job/events.js';
import { inTransaction } from '../transaction.js';

/** Ids in one statement; keeps it far below the server's packet limit. */
const IDS_AT_ONCE = 500;

/** Says of backups how they are, and whether what is damaged of them is known by ranges. */
export async function setHealth(
  tx: EntityManager,
  chainId: string,
  ids: readonly string[],
  { health, located }: { health: Health; located: boolean },
): Promise<void> {
  for (let from = 0; from < ids.length; from += IDS_AT_ONCE) {
    await tx.query(
      `UPDATE backup_jobs SET health = ?, damage_located = ? WHERE chain_id = ? AND status IN ('completed', 'expired') AND id IN (?)`,
      [health, located ? 1 : 0, chainId, ids.slice(from, from + IDS_AT_ONCE)],
    );
  }
}

/** Says how a chain is that has just been validated. */
export async function noteValidated(tx: EntityManager, chainId: string, health: Health): Promise<void> {
  await tx.query('UPDATE backup_chains SET health = ?, last_validated_at = UTC_TIMESTAMP(3) WHERE id = ?', [
    health,
    chainId,
  ]);
}

/**
 * Says what a comparison with the files has found of backups and so of their chain. Nothing becomes better by it: a damaged backup
 * stays damaged. Damage that was known by ranges is not any more, as the whole file is bad.
 */
export async function noteCompared(
  tx: EntityManager,
  chainId: string,
  found: { damaged: readonly string[]; suspect: readonly string[] },
): Promise<void> {
  const worsen = async (ids: readonly string[], health: Health, better: readonly Health[]) => {
    for (let from = 0; from < ids.length; from += IDS_AT_ONCE) {
      await tx.query(
        `UPDATE backup_jobs SET health = ?, damage_located = 0
         WHERE chain_id = ? AND status = 'completed' AND (health IN (?) OR damage_located = 1) AND id IN (?)`,
        [health, chainId, better, ids.slice(from, from + IDS_AT_ONCE)],
      );
    }
    if (ids.length > 0) {
      await tx.query('UPDATE backup_chains SET health = ? WHERE id = ? AND health IN (?)', [
        health,
        chainId,
        better,
      ]);
    }
  };
  await worsen(found.damaged, 'damaged', ['ok', 'suspect']);
  await worsen(found.suspect, 'suspect', ['ok']);
}

/** Notes that the content of a backup was read and is wrong: no quick check sees it. */
export async function noteWrongContent(tx: EntityManager, backupId: string): Promise<void> {
  await tx.query('UPDATE backup_jobs SET content_wrong_at = UTC_TIMESTAMP(3) WHERE id = ?', [backupId]);
}

/** Takes a note of wrong content away, unless there is a newer one. @param notedAt as it was read before the content was */
export async function clearWrongContent(tx: EntityManager, backupId: string, notedAt: Date): Promise<void> {
  await tx.query('UPDATE backup_jobs SET content_wrong_at = NULL WHERE id = ? AND content_wrong_at = ?', [
    backupId,
    notedAt,
  ]);
}

/**
 * Notes in the catalogue what a restore or a merge has proved of a backup's content, and notifies the webhooks: no later backup is
 * put upon content that is known to be wrong, even where a quick check, which reads no content, finds nothing. A proof of the
 * contrary (the read error has passed, the file was put back) takes the note away.
 */
export async function noteContent(
  ds: DataSource,
  backupId: string,
  content: 'right' | 'wrong',
): Promise<void> {
  await inTransaction(ds, async (tx) => {
    const rows = await tx.query<{ health: Health; content_wrong_at: Date | null }[]>(
      'SELECT health, content_wrong_at FROM backup_jobs WHERE id = ? FOR UPDATE',
      [backupId],
    );
    const [row] = rows;
    const wasWrong = (row?.content_wrong_at ?? null) !== null;
    const isWrong = content === 'wrong';
    if (!row || (!isWrong && !wasWrong)) return;
    await tx.query(
      `UPDATE backup_jobs SET content_wrong_at = ${isWrong ? 'UTC_TIMESTAMP(3)' : 'NULL'} WHERE id = ?`,
      [backupId],
    );
    // Of what a validation has called damaged, validations notify.
    if (row.health === 'damaged' || isWrong === wasWrong) return;
    await recordEvents(tx, [{ type: isWrong ? 'backup.damaged' : 'backup.cleared', subjectId: backupId }]);
  });
}
