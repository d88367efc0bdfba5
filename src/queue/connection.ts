import { Redis, type RedisOptions } from 'ioredis';
import { endWhenSilent } from '../shared/silence.js';

export type { Redis } from 'ioredis';

/** Where Redis is: `redis://`, `rediss://` or `unix:///path/redis.sock`. */
export interface RedisAddress {
  url: string;
}

export interface RedisConnectionOptions {
  /** Producers fail fast when Redis is away; workers wait for it (BullMQ demands null). */
  use: 'producer' | 'worker';
  onError: (error: Error) => void;
  /** Milliseconds after which a Redis that owes an answer counts as gone; 30,000 by default. */
  answerMs?: number;
}

const ANSWER_MS = 30_000;
/** BullMQ 6.7 blocks for 10 s at most (maximumBlockTimeout), in which Redis owes nothing. */
const LONGEST_BLOCK_MS = 15_000;

/** Opens a connection as BullMQ wants it. Whoever opens it closes it. */
export function connectRedis(address: RedisAddress, options: RedisConnectionOptions): Redis {
  const shared: RedisOptions = {
    maxRetriesPerRequest: options.use === 'worker' ? null : 2,
    enableReadyCheck: true,
    connectTimeout: 5_000,
    retryStrategy: (attempt) => Math.min(attempt * 100, 2_000),
    ...(options.use === 'producer' ? { commandTimeout: 5_000 } : {}),
  };
  const url = new URL(address.url);
  const redis =
    url.protocol === 'unix:'
      ? new Redis({ ...shared, path: decodeURIComponent(url.pathname) })
      : new Redis(address.url, shared);
  redis.on('error', options.onError);
  giveUpSilent(redis, options.answerMs ?? ANSWER_MS);
  return redis;
}

/** ioredis 5.11 has `socketTimeout` for this, but its timer outlives the socket and ends the next, healthy one. */
function giveUpSilent(redis: Redis, answerMs: number): void {
  redis.on('connect', () => endWhenSilent(redis.stream, 'Redis', answerMs));
  // BullMQ makes the connections on which it blocks by this.
  redis.duplicate = (override) => {
    const copy = new Redis({ ...redis.options, ...override });
    giveUpSilent(copy, Math.max(answerMs, LONGEST_BLOCK_MS));
    return copy;
  };
}
