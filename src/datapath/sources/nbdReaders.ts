import { connectNbd, type NbdClient, type NbdConnectOptions } from '../nbd/index.js';
import { StrataError } from '../../shared/errors.js';
import { reopenable } from './reopenable.js';
import type { BlockReader } from './types.js';

/** With 20 ms of latency several connections read several times as fast as one; more than these gained little. */
const EXTRA_CONNECTIONS = 3;
/** A server that takes one client only (qemu-nbd's default) lets the second one hang in the handshake. */
const EXTRA_CONNECT_TIMEOUT_MS = 2000;

/** Connections to one export, opened when first asked for, and again after they were dropped. */
export interface NbdReaders {
  /** The first connection. */
  client(): Promise<NbdClient>;
  /** All connections: one, or more where `several` is set and the server keeps them coherent. */
  readers(): Promise<readonly BlockReader[]>;
  /** Waits for outstanding requests, and disconnects. */
  close(): Promise<void>;
}

export function nbdReaders(
  address: () => Promise<string>,
  options: NbdConnectOptions,
  several: boolean,
): NbdReaders {
  const leaving = new Set<Promise<void>>();
  let sizeBytes: number | undefined;
  const sameDisk = (client: NbdClient): NbdClient => {
    sizeBytes ??= client.sizeBytes;
    if (client.sizeBytes === sizeBytes) return client;
    const error = resized(sizeBytes, client.sizeBytes);
    client.destroy(error);
    throw error;
  };
  const leave = (client: NbdClient, reason: Error) => {
    const left = client.leave(reason).finally(() => leaving.delete(left));
    leaving.add(left);
  };
  const first = reopenable(async () => {
    // A server for one client only has no place for the next one before.
    await Promise.all(leaving);
    const client = await connectNbd(await address(), options);
    return sameDisk(client);
  });
  const extra = reopenable(async () => {
    const { flags } = await first.get();
    return several && flags.canMultiConn ? openExtra(await address(), options, sameDisk) : [];
  });
  const readers = async (): Promise<readonly BlockReader[]> => {
    const clients = [await first.get(), ...(await extra.get())];
    return clients.map((client) => ({
      read: (offset, target) => client.readInto(offset, target),
      destroy: (reason) => {
        first.forget();
        extra.forget();
        leave(client, reason);
      },
    }));
  };
  const close = async () => {
    const clients = [...(await extra.take()).flat(), ...(await first.take())];
    await Promise.all([...leaving, ...clients.map((client) => client.close())]);
  };
  return { client: () => first.get(), readers, close };
}

/** As many more connections as the server gives: they make it faster, and one is enough. */
async function openExtra(
  uri: string,
  options: NbdConnectOptions,
  sameDisk: (client: NbdClient) => NbdClient,
): Promise<NbdClient[]> {
  const impatient = { ...options, connectTimeoutMs: EXTRA_CONNECT_TIMEOUT_MS };
  const attempts = Array.from({ length: EXTRA_CONNECTIONS }, async () =>
    sameDisk(await connectNbd(uri, impatient)),
  );
  const results = await Promise.allSettled(attempts);
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

/** Every connection of an export tells its size: another one is another state of the disk, or another disk. */
function resized(before: number, now: number): StrataError {
  return new StrataError('source_changed', `The export had ${before} bytes; a new connection has ${now}.`);
}
