// One view for each noun of the API: wire names begin here.
import type { Token } from '../../../contract/index.js';
import type { ApiToken } from '../../../entities/index.js';
import { iso } from './parts.js';

export function toToken(row: ApiToken): Token {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    created_at: row.createdAt.toISOString(),
    last_used_at: iso(row.lastUsedAt),
    expires_at: iso(row.expiresAt),
  };
}
