import { hostname } from 'node:os';
import { heartbeat, leaveFleet } from '../db/fleet/processes.js';
import { newId } from '../shared/ids.js';
import type { Wiring } from './wire.js';

const HEARTBEAT_MS = 10_000;

/** Announces the process in the fleet table and keeps the announcement fresh until shutdown. */
export async function joinFleet(
  wiring: Wiring,
  options: { role: string; metricsAddress: string | null },
): Promise<void> {
  const { ds, clock, log, settings, shutdown } = wiring;
  const member = {
    id: newId('proc', clock.now()),
    role: options.role,
    host: hostname(),
    pid: process.pid,
    pools: settings.pools,
    metricsAddress: options.metricsAddress,
  };
  await heartbeat(ds, member);
  const timer = setInterval(() => {
    heartbeat(ds, member).catch((error: unknown) =>
      log.warn({ err: error }, 'the heartbeat was not written'),
    );
  }, HEARTBEAT_MS);
  shutdown.onClose('fleet', async () => {
    clearInterval(timer);
    await leaveFleet(ds, member.id);
  });
}
