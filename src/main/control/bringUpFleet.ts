import { isReady } from './isReady.js';
import { fleetStatus, startFleet } from '../pm2/fleet.js';
import type { FleetProcess } from '../pm2/status.js';
import { fleetFingerprint, readFingerprint, writeFingerprint } from './fingerprint.js';
import type { Settings } from '../../config/settings.js';
import { startEmbedded } from '../embedded/index.js';

export interface FleetWish {
  dataDir: string;
  projectDir: string;
  env: NodeJS.ProcessEnv;
  readyUrl: string;
  log: (line: string) => void;
  signal: AbortSignal | undefined;
}

/**
 * Starts the fleet, reloads it when settings or build have changed, and leaves it alone when it runs as wished: a reload
 * would make every worker hand its jobs back.
 */
export async function bringUpFleet(
  wish: FleetWish,
): Promise<{ adopted: boolean; processes: FleetProcess[] }> {
  const { dataDir, env, log, signal, readyUrl } = wish;
  const fingerprint = await fleetFingerprint(env, wish.projectDir);
  if (fingerprint === (await readFingerprint(dataDir))) {
    const { processes } = await fleetStatus({ dataDir, env, signal });
    const online = processes.length > 0 && processes.every(({ status }) => status === 'online');
    if (online && (await isReady(readyUrl))) {
      log(`${processes.length} processes run already.`);
      return { adopted: true, processes };
    }
  }
  const { processes } = await startFleet({ dataDir, env, readyUrl, log, signal });
  await writeFingerprint(dataDir, fingerprint);
  return { adopted: false, processes };
}

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
