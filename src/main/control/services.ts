import type { Settings } from '../../config/settings.js';
import { startEmbedded } from '../embedded/index.js';

export interface ServiceUrls {
  databaseUrl: string;
  redisUrl: string;
}

/**
 * The addresses of database and Redis: the configured ones, or those of embedded services, started or adopted. Each stands
 * for itself: beside a configured database only a Redis is started, and no program of another is asked for.
 */
export async function startServices(
  settings: Settings,
  options: { dataDir: string; log: (line: string) => void; signal: AbortSignal | undefined },
): Promise<ServiceUrls> {
  const { databaseUrl, redisUrl } = settings;
  if (databaseUrl !== undefined && redisUrl !== undefined) return { databaseUrl, redisUrl };
  if (databaseUrl !== undefined) {
    const { redis } = await startEmbedded({ ...options, only: ['redis'] });
    return { databaseUrl, redisUrl: redis.url };
  }
  if (redisUrl !== undefined) {
    const { database } = await startEmbedded({ ...options, only: ['database'] });
    return { databaseUrl: database.url, redisUrl };
  }
  const { database, redis } = await startEmbedded(options);
  return { databaseUrl: database.url, redisUrl: redis.url };
}
