import { fileExists } from '../shared/files.js';
import { readSettings } from '../config/settings.js';
import { withDirectoryLock } from './embedded/lock.js';
import { embeddedStatus, stopEmbedded } from './embedded/index.js';
import { prepareEmbeddedPaths } from './embedded/paths.js';
import { fleetStatus, stopFleet } from './pm2/fleet.js';

export interface DownOptions {
  env: NodeJS.ProcessEnv;
  projectDir: string;
  log?: (line: string) => void;
  signal?: AbortSignal | undefined;
}

export interface DownResult {
  dataDir: string;
  /** Names of what ran and was stopped; empty when nothing did. */
  stopped: string[];
}

const LOCK_TIMEOUT_MS = 900_000;

/**
 * Stops the fleet, each process with its grace time, and then the embedded services. Configured services of the user's
 * own are left alone. Safe when nothing runs, and clears what a killed system left behind.
 */
export async function down(options: DownOptions): Promise<DownResult> {
  const { dataDir } = readSettings(options.env, options.projectDir);
  if (!(await fileExists(dataDir))) return { dataDir, stopped: [] };
  const { runDir } = await prepareEmbeddedPaths(dataDir);
  const lock = { runDir, purpose: 'up', timeoutMs: LOCK_TIMEOUT_MS, signal: options.signal };
  return withDirectoryLock(lock, () => downLocked(options, dataDir));
}

async function downLocked(options: DownOptions, dataDir: string): Promise<DownResult> {
  const { env, signal } = options;
  const log = options.log ?? (() => undefined);
  const fleet = await fleetStatus({ dataDir, env, signal });
  const services = await embeddedStatus({ dataDir });
  if (fleet.daemon === 'running') log('Stopping the fleet; running jobs get their grace time.');
  await stopFleet({ dataDir, env, log, signal });
  const running = Object.entries(services).filter(([, service]) => service.state !== 'stopped');
  if (running.length > 0) log('Stopping the embedded services.');
  await stopEmbedded({ dataDir, log, signal });
  const names = { redis: 'redis-server', database: 'mariadbd' } as Record<string, string>;
  return {
    dataDir,
    stopped: [
      ...fleet.processes.filter(({ pid }) => pid > 0).map(({ name, pid }) => `${name} (pid ${pid})`),
      ...running.map(([name, { pid }]) => `${names[name] ?? name} (pid ${pid})`),
    ],
  };
}
