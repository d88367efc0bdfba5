import { readSettings, type Settings } from '../config/settings.js';
import { type Addresses, addressesOf } from './control/addresses.js';
import { isReady } from './control/isReady.js';
import { rememberedPort, urlOf } from './control/listen.js';
import { type QueueCounts, readQueueCounts } from './control/queueCounts.js';
import { embeddedStatus, type ServiceStatus } from './embedded/index.js';
import { fleetStatus } from './pm2/fleet.js';
import type { FleetProcess } from './pm2/status.js';

export interface StatusOptions {
  env: NodeJS.ProcessEnv;
  projectDir: string;
  signal?: AbortSignal | undefined;
}

/** A server that the fleet needs: an embedded one, or one of the user's own, which only the API's readiness tells about. */
export type ServiceState = { name: string; state: ServiceStatus['state'] | 'configured'; pid: number | null };

export interface SystemStatus {
  /** Everything runs, and the API reaches what it needs. */
  healthy: boolean;
  data_dir: string;
  addresses: Addresses;
  api_ready: boolean;
  services: ServiceState[];
  processes: FleetProcess[];
  pools: string[];
  /** Null when Redis does not answer. */
  queues: QueueCounts[] | null;
}

/** Looks at everything and changes nothing. */
export async function status(options: StatusOptions): Promise<SystemStatus> {
  const settings = readSettings(options.env, options.projectDir);
  const { dataDir, pools } = settings;
  const port = (await rememberedPort(dataDir)) ?? settings.listen.port;
  const url = urlOf({ host: settings.listen.host, port });
  const [embedded, fleet, ready] = await Promise.all([
    embeddedStatus({ dataDir }),
    fleetStatus({ dataDir, env: options.env, signal: options.signal }),
    isReady(`${url}/readyz`),
  ]);
  const services = [
    serviceState('mariadbd', settings.databaseUrl, embedded.database),
    serviceState('redis-server', settings.redisUrl, embedded.redis),
  ];
  const online =
    fleet.processes.length > 0 && fleet.processes.every((process) => process.status === 'online');
  const up = services.every(({ state }) => state === 'running' || state === 'configured');
  return {
    healthy: online && up && ready,
    data_dir: dataDir,
    addresses: addressesOf(url),
    api_ready: ready,
    services,
    processes: fleet.processes,
    pools,
    queues: await countQueues(settings, embedded.redis),
  };
}

function serviceState(name: string, url: string | undefined, embedded: ServiceStatus): ServiceState {
  if (url !== undefined) return { name, state: 'configured', pid: null };
  return { name, state: embedded.state, pid: embedded.pid ?? null };
}

async function countQueues(settings: Settings, redis: ServiceStatus): Promise<QueueCounts[] | null> {
  if (settings.redisUrl === undefined && redis.state !== 'running') return null;
  const socket = encodeURIComponent(redis.socketPath).replaceAll('%2F', '/');
  const url = settings.redisUrl ?? `unix://${socket}`;
  return readQueueCounts({ url, prefix: settings.redisPrefix, pools: settings.pools });
}
