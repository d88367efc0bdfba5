import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NbdServer } from './nbdServers.js';

/**
 * `cut` closes the connection; `stall` keeps it open and lets nothing through any more; `drip` lets a byte through ten
 * times a second.
 */
export type NbdFault = 'cut' | 'stall' | 'drip';

/** A unix socket in front of an NBD server, by which a test lets the source fail, come back, and become another one. */
export interface NbdProxy {
  source: { type: 'nbd'; uri: string };
  /** Connections from now on go to this server; with none they are closed at once. */
  serve(upstream: NbdServer | undefined): void;
  /** The next `times` connections fail so when so many bytes of the server have passed through them. */
  fail(fault: NbdFault, afterBytes: number, times?: number): void;
  close(): Promise<void>;
}

function drip(client: Socket, bytes: Buffer): void {
  let at = 0;
  const timer = setInterval(() => client.write(bytes.subarray(at, ++at)), 100);
  client.on('close', () => clearInterval(timer));
}

export async function openNbdProxy(first: NbdServer): Promise<NbdProxy> {
  const folder = await mkdtemp(join(tmpdir(), 'strata-nbd-'));
  const path = join(folder, 'proxy');
  const open = new Set<Socket>();
  let upstream: NbdServer | undefined = first;
  let fault: { kind: NbdFault; afterBytes: number; times: number } | undefined;
  const server = createServer((client) => {
    if (!upstream) {
      client.destroy();
      return;
    }
    const remote = connect(upstream.socketPath);
    const end = () => {
      client.destroy();
      remote.destroy();
    };
    for (const socket of [client, remote]) {
      open.add(socket);
      socket.on('error', end).on('close', () => {
        open.delete(socket);
        end();
      });
    }
    client.pipe(remote);
    let passed = 0;
    remote.on('data', (bytes: Buffer) => {
      passed += bytes.length;
      if (!fault || fault.times === 0 || passed < fault.afterBytes) {
        client.write(bytes);
        return;
      }
      fault.times--;
      if (fault.kind === 'cut') {
        end();
        return;
      }
      remote.pause();
      client.unpipe(remote).pause();
      if (fault.kind === 'drip') drip(client, bytes);
    });
  });
  server.listen(path);
  await once(server, 'listening');
  return {
    source: { type: 'nbd', uri: `nbd+unix:///?socket=${path}` },
    serve: (next) => {
      upstream = next;
    },
    fail: (kind, afterBytes, times = 1) => {
      fault = { kind, afterBytes, times };
    },
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
