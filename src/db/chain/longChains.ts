import { MERGING, OPEN } from '../job/kinds.js';
import type { DataSource } from 'typeorm';
import { select } from '../page.js';

/** A job that failed keeps the keeper from asking for the same again for so long. */
const REST_HOURS = 1;
const MOST_CHAINS = 200;
/** Chains whose layers are counted in one round: all of 10,000 at once take seconds. */
const CHAINS_A_ROUND = 500;

const AT_REST = `NOT EXISTS (
    SELECT 1 FROM maintenance_jobs m WHERE m.chain_id = c.id AND m.type IN ${MERGING}
      AND (m.status IN ${OPEN}
        OR (m.status IN ('failed', 'cancelled') AND m.completed_at > UTC_TIMESTAMP(3) - INTERVAL ${REST_HOURS} HOUR)))`;

/**
 * Chains with expired backups whose files are still there, and no job that is about to see to it: one was cancelled or
 * failed half-way, or the catalogue was rebuilt in the middle.
 */
export async function chainsWithLeftovers(ds: DataSource): Promise<string[]> {
  const rows = await select<{ id: string }>(
    ds,
    `SELECT DISTINCT c.id FROM backup_chains c JOIN backup_jobs b ON b.chain_id = c.id
     WHERE b.expired_at IS NOT NULL AND b.file_removed_at IS NULL AND b.status = 'expired' AND ${AT_REST}
     LIMIT ${MOST_CHAINS}`,
  );
  return rows.map(({ id }) => id);
}

const layersOfStatus = (status: string, also = '') =>
  `(SELECT COUNT(*) FROM backup_jobs b WHERE b.chain_id = c.id AND b.status = '${status}' AND b.seq BETWEEN f.seq AND l.seq${also})`;
/** Two counts and not one with OR: the index on (chain_id, status, seq) answers the first without reading a row. */
const LAYERS = `${layersOfStatus('completed')} + ${layersOfStatus('expired', ' AND b.file_removed_at IS NULL')}`;

/**
 * Chains whose latest backup stands on more layers than it may, itself included, and that no job is about to shorten; a
 * round with every call.
 * @param limit where the repository says nothing
 * @param after the cursor of the round before, or '' for the first
 * @returns the cursor for the next round; '' when the end was reached, so that it begins at the start
 */
export async function longChains(
  ds: DataSource,
  limit: number,
  after: string,
): Promise<{ ids: string[]; next: string }> {
  const round = await select<{ id: string }>(
    ds,
    `SELECT id FROM backup_chains WHERE id > ? ORDER BY id LIMIT ${CHAINS_A_ROUND}`,
    [after],
  );
  const last = round.at(-1)?.id ?? '';
  // The layers are counted only of chains that have that many backups at all; segments before the latest do not count.
  const rows = await select<{ id: string }>(
    ds,
    `SELECT c.id FROM backup_chains c
     JOIN vm_contexts v ON v.vm_context_id = c.vm_context_id JOIN repositories r ON r.id = v.repository_id
     JOIN backup_jobs l ON l.id = c.latest_backup_id JOIN backup_jobs f ON f.id = c.full_backup_id
     WHERE c.id > ? AND c.id <= ?
       AND c.total_backups > COALESCE(r.max_chain_length, ?) AND c.health = 'ok' AND r.enabled = 1 AND l.backup_type = 'incremental'
       AND ${LAYERS} > COALESCE(r.max_chain_length, ?)
       AND ${AT_REST}`,
    [after, last, limit, limit],
  );
  return { ids: rows.map(({ id }) => id), next: round.length === CHAINS_A_ROUND ? last : '' };
}
