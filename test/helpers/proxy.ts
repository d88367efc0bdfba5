import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A bad network between a process and a server: a TCP port of this host in front of the server's unix socket. */
export interface Proxy {
  port: number;
  /** Connections that it has accepted so far. */
  accepted(): number;
  /** Ends all open connections, as a firewall does that sends a reset. */
  cut(): void;
  /** From now on nothing passes on the open connections, and nobody is told; new ones pass. */
  halfOpen(): void;
  /** Nothing passes on any connection, and nobody is told, until `pass`; what was sent meanwhile is lost with its connection. */
  swallow(): void;
  pass(): void;
  close(): Promise<void>;
}

interface Pair {
  client: Socket;
  server: Socket;
  swallowed: boolean;
}

export async function startProxy(socketPath: string): Promise<Proxy> {
  const pairs = new Set<Pair>();
  let swallowing = false;
  let accepted = 0;
  const listener = createServer((client) => {
    accepted++;
    const pair: Pair = { client, server: connect({ path: socketPath }), swallowed: swallowing };
    pairs.add(pair);
    forward(pair, () => pairs.delete(pair));
  });
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const swallowOpen = () => {
    for (const pair of pairs) pair.swallowed = true;
  };
  const cut = () => {
    for (const { client, server } of pairs) {
      client.resetAndDestroy();
      server.destroy();
    }
  };
  return {
    port: (listener.address() as AddressInfo).port,
    accepted: () => accepted,
    cut,
    halfOpen: swallowOpen,
    swallow: () => {
      swallowing = true;
      swallowOpen();
    },
    pass: () => {
      swallowing = false;
    },
    close: async () => {
      const closed = new Promise((resolve) => listener.close(resolve));
      cut();
      await closed;
    },
  };
}

/** Passes data and ends on, unless the pair is swallowed: then either side waits for an answer that never comes. */
function forward(pair: Pair, onClose: () => void): void {
  const { client, server } = pair;
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    from.on('data', (chunk) => {
      if (!pair.swallowed) to.write(chunk);
    });
    // A reset is what the tests are about; `close` follows.
    from.on('error', () => undefined);
    from.on('close', () => {
      if (!pair.swallowed || from === client) to.destroy();
      onClose();
    });
  }
}
