import type { DataSource, EntityManager } from 'typeorm';
import { affectedRows, asking } from '../transaction.js';
import { StrataError } from '../../shared/errors.js';
import { parseJson } from './journal.js';

/**
 * Forgets Idempotency-Keys that were used more than `days` days ago, `limit` at a time, so that the statement's locks
 * stay short.
 * @returns how many were forgotten; call again while it is `limit`
 */
export async function forgetOldKeys(ds: DataSource, days: number, limit: number): Promise<number> {
  const result = await asking(() =>
    ds.query<unknown>(
      `DELETE FROM idempotency_keys WHERE created_at < UTC_TIMESTAMP(3) - INTERVAL ? DAY
       ORDER BY created_at LIMIT ${Math.trunc(limit)}`,
      [days],
    ),
  );
  return affectedRows(result);
}

/** An Idempotency-Key of one caller, and the request that it was used with. */
export interface UsedKey {
  tokenId: string;
  key: string;
  /** SHA-256 over method, path and canonical body. */
  requestSha256: string;
}

/**
 * What the request with this key was answered, if it was.
 * @throws idempotency_mismatch when the key was used with another request
 */
export async function findAnswer<T>(
  ds: DataSource,
  { tokenId, key, requestSha256 }: UsedKey,
): Promise<T | undefined> {
  const rows = await ds.query<{ request_sha256: string; response: unknown }[]>(
    'SELECT request_sha256, response FROM idempotency_keys WHERE token_id = ? AND idempotency_key = ?',
    [tokenId, key],
  );
  const row = rows[0];
  if (!row) return undefined;
  if (row.request_sha256 !== requestSha256) throw mismatch();
  return parseJson<T>(row.response);
}

function mismatch(): StrataError {
  return new StrataError('idempotency_mismatch', 'The Idempotency-Key was used with another request.');
}

/** Keeps an answer in the transaction that brings about what it says. */
export async function saveAnswer(
  tx: EntityManager,
  { tokenId, key, requestSha256 }: UsedKey,
  answer: object,
): Promise<void> {
  await tx.query(
    `INSERT INTO idempotency_keys (token_id, idempotency_key, request_sha256, response, created_at)
     VALUES (?, ?, ?, ?, UTC_TIMESTAMP(3))`,
    [tokenId, key, requestSha256, JSON.stringify(answer)],
  );
}

/** `claimed`: by this call. `busy`: by a request that is under way. Else what was answered. */
export type Held = 'claimed' | 'busy' | Record<string, string>;

/** A claim that is as old belongs to a process that has died: no handler takes so long. */
const CLAIM_SECONDS = 600;
const CLAIM = JSON.stringify({ claimed: true });

/**
 * Claims a key for a request whose answer will be kept later, or says what became of it.
 * @throws idempotency_mismatch when the key was used with another request
 */
export async function claimKey(ds: DataSource, used: UsedKey): Promise<Held> {
  const { tokenId, key, requestSha256 } = used;
  return asking(async () => {
    const made: unknown = await ds.query(
      `INSERT IGNORE INTO idempotency_keys (token_id, idempotency_key, request_sha256, response, created_at)
       VALUES (?, ?, ?, ?, UTC_TIMESTAMP(3))`,
      [tokenId, key, requestSha256, CLAIM],
    );
    if (affectedRows(made) === 1) return 'claimed';
    const rows = await ds.query<{ request_sha256: string; response: unknown; stale: number }[]>(
      `SELECT request_sha256, response, created_at < UTC_TIMESTAMP(3) - INTERVAL ${CLAIM_SECONDS} SECOND AS stale
       FROM idempotency_keys WHERE token_id = ? AND idempotency_key = ?`,
      [tokenId, key],
    );
    const row = rows[0];
    // It was released meanwhile.
    if (!row) return 'busy';
    if (row.request_sha256 !== requestSha256) throw mismatch();
    const response = parseJson<Record<string, string>>(row.response);
    if (!('claimed' in response)) return response;
    if (Number(row.stale) !== 1) return 'busy';
    const taken: unknown = await ds.query(
      `UPDATE idempotency_keys SET created_at = UTC_TIMESTAMP(3) WHERE token_id = ? AND idempotency_key = ?
       AND created_at < UTC_TIMESTAMP(3) - INTERVAL ${CLAIM_SECONDS} SECOND`,
      [tokenId, key],
    );
    return affectedRows(taken) === 1 ? 'claimed' : 'busy';
  });
}

export async function keepAnswer(
  ds: DataSource,
  { tokenId, key }: UsedKey,
  answer: Record<string, string>,
): Promise<void> {
  await ds.query('UPDATE idempotency_keys SET response = ? WHERE token_id = ? AND idempotency_key = ?', [
    JSON.stringify(answer),
    tokenId,
    key,
  ]);
}

export async function releaseKey(ds: DataSource, { tokenId, key }: UsedKey): Promise<void> {
  await ds.query('DELETE FROM idempotency_keys WHERE token_id = ? AND idempotency_key = ?', [tokenId, key]);
}
