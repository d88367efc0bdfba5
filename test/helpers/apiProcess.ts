import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { createToken } from '../../src/db/fleet/tokens.js';
import { systemClock } from '../../src/shared/clock.js';
import type { TestFleet } from './fleet.js';
import { type FleetProcess, type ProcessOptions, startFleetProcess } from './fleetProcess.js';

/** The address of an API, and a token for it; its processes come and go. */
export interface ApiAddress {
  port: number;
  url: string;
  token: string;
}

/** Chooses a free port, and makes an admin's token unless there is one. */
export async function createApiAddress(fleet: TestFleet, token?: string): Promise<ApiAddress> {
  const port = await freePort();
  return { port, url: `http://127.0.0.1:${port}`, token: token ?? (await adminToken(fleet)) };
}

async function adminToken({ suite }: TestFleet): Promise<string> {
  const wanted = { name: 'crash', role: 'admin', expiresAt: null, now: systemClock.now() } as const;
  return (await createToken(suite.ds, wanted)).token;
}

/** Starts `api.js` there, and returns when it listens. */
export async function startApiProcess(
  fleet: TestFleet,
  address: ApiAddress,
  options: Omit<ProcessOptions, 'entry'> = {},
): Promise<FleetProcess> {
  const env = { STRATA_LISTEN: `127.0.0.1:${address.port}`, ...options.env };
  const api = startFleetProcess(fleet, { ...options, entry: 'api', env });
  await api.said('listening');
  return api;
}

export interface PostAnswer {
  status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- each test knows what it asked for
  body: any;
}

/** One POST below /api/v1, without any retry. Rejects when there is no whole answer. */
export async function post(
  { url, token }: ApiAddress,
  path: string,
  request: { body: unknown; key?: string; timeoutMs?: number },
): Promise<PostAnswer> {
  const { body, key, timeoutMs = 30_000 } = request;
  const response = await fetch(`${url}/api/v1/${path}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      ...(key === undefined ? {} : { 'idempotency-key': key }),
    },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
  });
  return { status: response.status, body: await response.json() };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
