import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blockSizeInfo, exportInfo, greeting, optionReply, u32 } from './nbdWire.js';

/** A request as the server receives it. */
export interface WireRequest {
  flags: number;
  command: number;
  cookie: number;
  offset: number;
  length: number;
}

/** One connection of the fake server: it says exactly what the test wants. */
export interface Peer {
  socket: Socket;
  read(length: number): Promise<Buffer>;
  say(...parts: Buffer[]): void;
  /** The next option: its number and data. */
  option(): Promise<{ option: number; data: Buffer }>;
  /** A whole honest handshake. */
  enter(facts?: {
    size?: number | bigint;
    flags?: number;
    structured?: boolean;
    contexts?: [number, string][];
  }): Promise<void>;
  /** The next request; the payload of a write is read away. */
  request(): Promise<WireRequest>;
  /** Resolves when the client has closed the connection. */
  gone(): Promise<void>;
}

export interface FakeServer {
  uri: string;
  /** Resolves when the script of every connection has ended; rejects if one failed. */
  finished(): Promise<void>;
  stop(): Promise<void>;
}

/** Flags: has flags, flush, FUA, trim, write zeroes, DF. */
export const ALL_FLAGS = 1 | 4 | 8 | 32 | 64 | 128;

/** Runs `script` for every connection. A script that waits ends when the client closes. */
export async function startFakeServer(script: (peer: Peer) => Promise<void>): Promise<FakeServer> {
  const folder = await mkdtemp(join(tmpdir(), 'strata-fake-nbd-'));
  const path = join(folder, 'socket');
  const sockets = new Set<Socket>();
  const scripts: Promise<void>[] = [];
  const server = createServer({ allowHalfOpen: false }, (socket) => {
    sockets.add(socket);
    // A client that destroys its socket resets ours: that is what these tests are about.
    socket.on('error', () => socket.destroy());
    scripts.push(
      script(peerOf(socket)).catch((error: unknown) => {
        if (!(error instanceof ClientGone)) throw error;
      }),
    );
  });
  server.listen(path);
  await once(server, 'listening');
  return {
    uri: `nbd+unix:///?socket=${path}`,
    finished: async () => {
      await Promise.all(scripts);
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await Promise.allSettled(scripts);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

class ClientGone extends Error {}

function peerOf(socket: Socket): Peer {
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const read = async (length: number): Promise<Buffer> => {
    if (length === 0) return Buffer.alloc(0);
    while (true) {
      const bytes: unknown = socket.read(length);
      if (Buffer.isBuffer(bytes)) return bytes;
      if (socket.destroyed || socket.readableEnded) throw new ClientGone();
      await Promise.race([new Promise((resolve) => socket.once('readable', resolve)), closed]);
    }
  };
  const say = (...parts: Buffer[]) => {
    if (!socket.destroyed) socket.write(Buffer.concat(parts));
  };
  const option = async () => {
    const header = await read(16);
    return { option: header.readUInt32BE(8), data: await read(header.readUInt32BE(12)) };
  };
  return {
    socket,
    read,
    say,
    option,
    enter: (facts = {}) => enter({ read, say, option }, facts),
    request: async () => {
      const header = await read(28);
      const request = {
        flags: header.readUInt16BE(4),
        command: header.readUInt16BE(6),
        cookie: Number(header.readBigUInt64BE(8)),
        offset: Number(header.readBigUInt64BE(16)),
        length: header.readUInt32BE(24),
      };
      if (request.command === 1) await read(request.length);
      return request;
    },
    gone: async () => {
      socket.resume();
      await closed;
    },
  };
}

async function enter(
  { read, say, option }: Pick<Peer, 'read' | 'say' | 'option'>,
  {
    size = 1 << 20,
    flags = ALL_FLAGS,
    structured = true,
    contexts = [],
  }: Parameters<Peer['enter']>[0] & object,
): Promise<void> {
  say(greeting());
  await read(4);
  while (true) {
    const asked = await option();
    if (asked.option === 8) say(optionReply(8, structured ? 1 : 0x80000001));
    else if (asked.option === 10) {
      for (const [id, name] of contexts) say(optionReply(10, 4, Buffer.concat([u32(id), Buffer.from(name)])));
      say(optionReply(10, 1));
    } else if (asked.option === 7) {
      say(
        optionReply(7, 3, exportInfo(size, flags)),
        optionReply(7, 3, blockSizeInfo(1, 4096, 1 << 25)),
        optionReply(7, 1),
      );
      return;
    } else say(optionReply(asked.option, 0x80000001));
  }
}
