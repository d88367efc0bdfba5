import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { StrataError, errnoOf } from '../../shared/errors.js';
import { writeWhole } from './writeWhole.js';

export interface ListenAddress {
  host: string;
  port: number;
}

/** How many ports above the preferred one are tried. */
const TRIES = 100;

/** The port that the data directory's API was given before; undefined before the first `up`. */
export async function rememberedPort(dataDir: string): Promise<number | undefined> {
  try {
    const port = Number((await readFile(listenFile(dataDir), 'utf8')).trim());
    return Number.isInteger(port) && port > 0 && port <= 65535 ? port : undefined;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Remembers the port, so that bookmarks and the CLI's file stay right at the next `up`. */
export async function rememberPort(dataDir: string, port: number): Promise<void> {
  await writeWhole(listenFile(dataDir), `${port}\n`, 0o600);
}

/**
 * The first port from `from` on that nobody listens on.
 * @throws service_failed when 100 in a row are taken
 */
export async function firstFreePort(host: string, from: number): Promise<number> {
  const end = Math.min(from + TRIES, 65536);
  for (let port = from; port < end; port++) if (await isFree({ host, port })) return port;
  throw new StrataError('service_failed', `The ports ${from} to ${end - 1} of ${host} are all taken.`);
}

/** True when this process could listen there. */
export function isFree(address: ListenAddress): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => {
      if (errnoOf(error) === 'EADDRINUSE') resolve(false);
      else {
        const reason = `Nothing can listen on ${address.host}:${address.port}: ${error.message}.`;
        reject(new StrataError('service_failed', reason, { cause: error, field: 'STRATA_LISTEN' }));
      }
    });
    server.listen(address, () => server.close(() => resolve(true)));
  });
}

/** How a client on this host reaches the address. */
export function urlOf({ host, port }: ListenAddress): string {
  const everywhere: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  const reachable = everywhere[host] ?? host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

/** As STRATA_LISTEN has it. */
export function listenText({ host, port }: ListenAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function listenFile(dataDir: string): string {
  return join(dataDir, 'listen');
}
