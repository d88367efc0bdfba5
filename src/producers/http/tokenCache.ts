import type { DataSource } from '../../db/database.js';
import { hashToken, type TokenOwner, useToken } from '../../db/fleet/tokens.js';
import type { Clock } from '../../shared/clock.js';

/** A token that was deleted or has expired goes on working for at most this long. */
const REMEMBER_MS = 3_000;
/** Entries; more callers than this at one time are looked up again. */
const MOST_ENTRIES = 1_000;

/** Finds who a token is, and remembers it for a few seconds, so that a busy caller costs few statements. */
export interface TokenCache {
  find(token: string): Promise<TokenOwner | undefined>;
  /** Forgets a token that was deleted here. */
  forget(id: string): void;
}

export function createTokenCache(ds: DataSource, clock: Clock): TokenCache {
  const entries = new Map<string, { owner: TokenOwner; until: number }>();
  return {
    find: async (token) => {
      const sha256 = hashToken(token);
      const now = clock.monotonicMs();
      const known = entries.get(sha256);
      if (known && known.until > now) return known.owner;
      entries.delete(sha256);
      const owner = await useToken(ds, sha256);
      if (!owner) return undefined;
      if (entries.size >= MOST_ENTRIES) entries.clear();
      entries.set(sha256, { owner, until: now + REMEMBER_MS });
      return owner;
    },
    forget: (id) => {
      for (const [sha256, { owner }] of entries) if (owner.id === id) entries.delete(sha256);
    },
  };
}
