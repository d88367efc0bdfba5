import type { Settings } from '../../config/settings.js';
import { startEmbedded } from '../embedded/index.js';

export interface ServiceUrls {
  databaseUrl: string;
  redisUrl: string;
}

/** The addresses of database and Redis: the configured ones, or those of embedded services, started or adopted. */
export async function startServices(
  settings: Settings,
  options: { dataDir: string; log: (line: string) => void; signal: AbortSignal | undefined },
): Promise<ServiceUrls> {
  const { databaseUrl, redisUrl } = settings;
  if (databaseUrl !== undefined && redisUrl !== undefined) return { databaseUrl, redisUrl };
  const embedded = await startEmbedded(options);
  return { databaseUrl: databaseUrl ?? embedded.database.url, redisUrl: redisUrl ?? embedded.redis.url };
}
