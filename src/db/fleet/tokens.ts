import { createHash, randomBytes } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { ApiToken, type Role } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { newId } from '../../shared/ids.js';
import { checkSimpleName } from '../../shared/names.js';
import { asDatabaseError, asking, inTransaction, isDuplicate } from '../transaction.js';
import { type PageOf, type PageRequest, pageById, select } from '../page.js';

const LIVE = '(expires_at IS NULL OR expires_at > UTC_TIMESTAMP(3))';

export interface NewToken {
  name: string;
  role: Role;
  expiresAt: Date | null;
  /** Names the id only. */
  now: Date;
}

/** SHA-256 of a token in lower-case hexadecimal: all that is kept of it. 256 random bits need no salt. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/**
 * Makes a token of 256 random bits, `strata_<base64url>`. It is shown here and never again.
 * @throws invalid_name, name_taken
 */
export async function createToken(
  ds: DataSource,
  wanted: NewToken,
): Promise<{ token: string; row: ApiToken }> {
  checkSimpleName(wanted.name, 'name');
  const token = `strata_${randomBytes(32).toString('base64url')}`;
  const id = newId('tok', wanted.now);
  try {
    await ds.query(
      `INSERT INTO api_tokens (id, name, role, sha256, created_at, expires_at)
       VALUES (?, ?, ?, ?, UTC_TIMESTAMP(3), ?)`,
      [id, wanted.name, wanted.role, hashToken(token), wanted.expiresAt],
    );
  } catch (error) {
    if (!isDuplicate(error, 'uq_api_tokens_name')) throw asDatabaseError(error);
    throw new StrataError('name_taken', `There is a token ${wanted.name} already.`, {
      field: 'name',
      cause: error,
    });
  }
  return { token, row: await getToken(ds, id) };
}

/** @throws not_found */
export async function getToken(ds: DataSource, id: string): Promise<ApiToken> {
  const row = await asking(() => ds.getRepository(ApiToken).findOneBy({ id }));
  if (!row) throw new StrataError('not_found', `There is no token ${id}.`);
  return row;
}

/** Tokens in the order of their ids. */
export async function listTokens(ds: DataSource, page: PageRequest): Promise<PageOf<ApiToken>> {
  return pageById(ds.getRepository(ApiToken).createQueryBuilder('t'), 't.id', page, (row) => row.id);
}

/** Who a token is, by its hash. */
export interface TokenOwner {
  id: string;
  name: string;
  role: Role;
}

/** The token with this hash, if it has not expired by the database's clock. Notes its use, at most once a minute. */
export async function useToken(ds: DataSource, sha256: string): Promise<TokenOwner | undefined> {
  const rows = await select<TokenOwner & { stale: number }>(
    ds,
    `SELECT id, name, role, (last_used_at IS NULL OR last_used_at < UTC_TIMESTAMP(3) - INTERVAL 60 SECOND) AS stale
     FROM api_tokens WHERE sha256 = ? AND ${LIVE}`,
    [sha256],
  );
  const row = rows[0];
  if (!row) return undefined;
  if (Number(row.stale) === 1) {
    await select(ds, 'UPDATE api_tokens SET last_used_at = UTC_TIMESTAMP(3) WHERE id = ?', [row.id]);
  }
  return { id: row.id, name: row.name, role: row.role };
}

/**
 * Removes a token; it stops to work everywhere within the seconds for which look-ups are remembered.
 * @throws not_found
 * @throws wrong_state for the last admin token that works, without which nobody could make another
 */
export async function deleteToken(ds: DataSource, id: string): Promise<void> {
  await inTransaction(ds, async (tx) => {
    const admins = await tx.query<{ id: string; expires_at: Date | null }[]>(
      `SELECT id, expires_at FROM api_tokens WHERE role = 'admin' AND ${LIVE} FOR UPDATE`,
    );
    const forGood = admins.filter((row) => row.expires_at === null);
    const [last] = forGood.length > 0 ? forGood : admins;
    const count = forGood.length > 0 ? forGood.length : admins.length;
    if (count === 1 && last?.id === id) {
      throw new StrataError('wrong_state', 'This is the last admin token; make another one first.');
    }
    const result = await tx.delete(ApiToken, { id });
    if (result.affected !== 1) throw new StrataError('not_found', `There is no token ${id}.`);
  });
}
