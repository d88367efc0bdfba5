import { Redis, type RedisOptions } from 'ioredis';

export type { Redis } from 'ioredis';

/** Where Redis is: `redis://`, `rediss://` or `unix:///path/redis.sock`. */
export interface RedisAddress {
  url: string;
}

export interface RedisConnectionOptions {
  /** Producers fail fast when Redis is away; workers wait for it (BullMQ demands null). */
  use: 'producer' | 'worker';
  onError: (error: Error) => void;
}

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
  return redis;
}
