import { JOB_KINDS } from '../../shared/jobs.js';
import type { EntityManager } from 'typeorm';
import { JOB_TABLES, OPEN } from './kinds.js';
import { firstOpen } from './openJobs.js';
import { demote, type Position } from './position.js';

interface OpenRow {
  kind: (typeof JOB_KINDS)[number];
  id: string;
  seq: string;
  status: string;
  error_code: string | null;
}

/**
 * Makes a place in front of a chain's head, where that is a backup that waits for room: what makes room must not stand
 * behind it. All open jobs of the chain move back by one place, so their order among themselves stays. The chain's row must
 * be locked.
 * @returns the place, `released` unless a read that has passed the head still has the turn; undefined where the head does not wait
 *   for room
 */
export async function stepAside(tx: EntityManager, chainId: string): Promise<Position | undefined> {
  const open = JOB_KINDS.map(
    (kind) =>
      `SELECT '${kind}' AS kind, id, seq, status, error_code FROM ${JOB_TABLES[kind]}
       WHERE chain_id = ? AND status IN ${OPEN}`,
  );
  const rows = await tx.query<OpenRow[]>(
    `SELECT * FROM (${open.join(' UNION ALL ')}) open_jobs ORDER BY seq DESC`,
    JOB_KINDS.map(() => chainId),
  );
  const head = rows.at(-1);
  const waits = head?.kind === 'backup' && head.status !== 'running' && head.error_code === 'no_space';
  if (!waits) return undefined;
  // The turn may be that of a read which has passed the head: running, or waiting itself.
  const first = await firstOpen(tx, chainId);
  const released = first?.status === 'released' ? first : undefined;
  const isFree = first?.status === 'queued' || (released && (released.id === head.id || released.waits));
  if (isFree && released) await demote(tx, released);
  // From the last one on, because a place is unique.
  for (const { kind, id } of rows) {
    await tx.query(`UPDATE ${JOB_TABLES[kind]} SET seq = seq + 1 WHERE id = ?`, [id]);
  }
  await tx.query('UPDATE backup_chains SET last_seq = last_seq + 1 WHERE id = ?', [chainId]);
  // The room that is made is not waited for any longer.
  await tx.query('UPDATE backup_jobs SET not_before = NULL, parked_at = NULL WHERE id = ?', [head.id]);
  return { seq: Number(head.seq), status: isFree ? 'released' : 'queued', backupsInFront: false };
}
