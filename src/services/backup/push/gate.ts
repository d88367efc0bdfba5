import { type Gate, type GateCredentials, newSocketPath, openGate } from '../../../datapath/index.js';
import { releasePort, takePort } from '../../../db/push/ports.js';
import { nbdUnixUri } from '../../../qcow2/index.js';
import { isStrataError, StrataError } from '../../../shared/errors.js';
import type { Under } from '../../job/under.js';
import type { PushRules, ServiceDeps } from '../../deps.js';

/** Where agents find an export: host and port, or a unix socket. */
export type ExportAddress =
  | { host: string; port: number; socket: null }
  | { host: null; port: null; socket: string };

export interface GateTerms {
  exportName: string;
  credentials: GateCredentials | undefined;
  serverSocket: string;
}

/**
 * Opens a gate where the configuration says, and closes it when `work` has ended. A port is taken from the pool of this
 * host for as long, and given back only when nobody listens on it any more.
 * @throws push_ports_exhausted when no port is free, and what openGate and `work` throw
 */
export async function withGate<T>(
  under: Under<ServiceDeps>,
  terms: GateTerms,
  work: (gate: Gate, address: ExportAddress) => Promise<T>,
): Promise<T> {
  const { push } = under.deps;
  const gateOf = { ...terms, ...under.io, connections: push.connections };
  if (push.socketDir !== undefined) {
    const socket = newSocketPath(push.socketDir);
    const gate = await openGate({ ...gateOf, address: { socketPath: socket } });
    if (!gate) throw new StrataError('file_exists', `The socket ${socket} exists already.`);
    return closing(gate, () => work(gate, { host: null, port: null, socket }));
  }
  const foreign = new Set<number>();
  for (;;) {
    const done = await withPort(under, foreign, async (port) => {
      const gate = await openGate({ ...gateOf, address: { host: push.address, port } });
      if (!gate) return undefined;
      const address: ExportAddress = { host: push.host, port, socket: null };
      return { result: await closing(gate, () => work(gate, address)) };
    });
    if (done.value) return done.value.result;
    foreign.add(done.port);
  }
}

async function withPort<T>(
  { deps: { ds, push }, held: { lease } }: Under<ServiceDeps>,
  except: ReadonlySet<number>,
  work: (port: number) => Promise<T>,
): Promise<{ port: number; value: T }> {
  const port = await takePort(ds, lease, push.node, push.ports, except);
  if (port === undefined) throw exhausted(push);
  try {
    return { port, value: await work(port) };
  } finally {
    await releasePort(ds, lease, push.node, port).catch((error: unknown) => {
      // It is free as soon as this lease is over.
      if (!isStrataError(error, 'database_unavailable')) throw error;
    });
  }
}

async function closing<T>(gate: Gate, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await gate.close();
  }
}

function exhausted({ node, ports }: PushRules): StrataError {
  return new StrataError(
    'push_ports_exhausted',
    `All ports from ${ports.first} to ${ports.last} of ${node} are in use (STRATA_PUSH_PORTS).`,
  );
}

/** The NBD URI of an export. */
export function exportUri(address: ExportAddress, exportName: string, tls: PushRules['tls']): string {
  const scheme = tls === 'none' ? 'nbd' : 'nbds';
  if (address.socket !== null) return nbdUnixUri(address.socket, exportName).replace(/^nbd/, scheme);
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${scheme}://${host}:${address.port}/${encodeURIComponent(exportName)}`;
}
