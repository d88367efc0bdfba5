import { StrataError } from '../../shared/errors.js';
import { fleetStatus, stopFleet } from '../pm2/fleet.js';
import {
  firstFreePort,
  isFree,
  type ListenAddress,
  listenText,
  rememberedPort,
  rememberPort,
} from './listen.js';

export interface ListenChoice {
  dataDir: string;
  env: NodeJS.ProcessEnv;
  /** STRATA_LISTEN, when it is set: no other address will do. */
  configured: ListenAddress | undefined;
  /** Where to begin to look otherwise. */
  preferred: ListenAddress;
  log: (line: string) => void;
  signal: AbortSignal | undefined;
}

/**
 * Decides where the API listens: where it was told to, or where it was the last time, or at the first free port. A
 * fleet of this data directory that runs keeps its port.
 * @throws service_failed when the address of STRATA_LISTEN is taken by another program
 */
export async function chooseListen(choice: ListenChoice): Promise<ListenAddress> {
  const { dataDir, env, log, signal, configured } = choice;
  const before = await rememberedPort(dataDir);
  const wanted = configured ?? { host: choice.preferred.host, port: before ?? choice.preferred.port };
  const fleet = await fleetStatus({ dataDir, env, signal });
  const running = fleet.processes.some(({ status }) => status === 'online');
  if (running && wanted.port === before) return wanted;
  // What a killed fleet left behind may hold the port; it goes before anything else is believed about it.
  if (!running && !(await isFree(wanted))) await stopFleet({ dataDir, env, log, signal });
  const listen = await settle(wanted, configured !== undefined, log);
  if (listen.port !== before) await rememberPort(dataDir, listen.port);
  return listen;
}

async function settle(
  wanted: ListenAddress,
  fixed: boolean,
  log: (line: string) => void,
): Promise<ListenAddress> {
  if (await isFree(wanted)) return wanted;
  if (fixed) {
    const text = listenText(wanted);
    throw new StrataError(
      'service_failed',
      `Another program listens on ${text}; set STRATA_LISTEN to a free address.`,
    );
  }
  const port = await firstFreePort(wanted.host, wanted.port + 1);
  log(`Port ${wanted.port} is taken by another program; the API gets ${port}.`);
  return { host: wanted.host, port };
}
