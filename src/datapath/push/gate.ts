import { chmod } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { createThrottle, type RateLimit } from '../engine/throttle.js';
import { errnoOf, StrataError } from '../../shared/errors.js';
import { type AdmissionTerms, admit } from './admission.js';

/** Where agents connect. */
export type GateAddress = { host: string; port: number } | { socketPath: string };

export interface GateOptions extends Omit<AdmissionTerms, 'enter' | 'throttle'> {
  address: GateAddress;
  /** Agents' connections that may be inside at once. */
  connections: number;
  /** Limits what all agents together may send; looked at while they do. */
  rate?: RateLimit;
  /** Ends the waiting for the limit. */
  signal: AbortSignal;
}

export interface Traffic {
  /** Connections that have named the export and whose requests are not all done. */
  inside: number;
  /** True when somebody has ever named the export. */
  entered: boolean;
  /** Bytes that agents have sent and were sent, since the gate opened. */
  bytes: number;
}

/** The place where agents connect to an export: it lets in who knows its name, counts, and can be shut. */
export interface Gate {
  traffic: () => Traffic;
  /** Lets nobody in any more, if nobody is inside now; otherwise changes nothing. Without a moment in between. */
  shutIfEmpty(): boolean;
  /** Ends every connection and gives the address back. May be called again. */
  close(): Promise<void>;
}

/** Connections that may be in their handshake beside those inside; the server behind must take all of them. */
export const HANDSHAKES = 16;
/** From the connection to the first request, in ms. */
const HANDSHAKE_MS = 30_000;
/** A peer whose host is gone is noticed by the kernel, which begins to ask after this silence, in ms. */
const KEEP_ALIVE_MS = 30_000;

/**
 * Opens the gate; the server behind it need not run yet.
 * @returns undefined when another program has the port
 * @throws invalid_configuration when nobody can listen at the address
 */
export async function openGate(options: GateOptions): Promise<Gate | undefined> {
  const sockets = new Set<Socket>();
  const interior = createInterior(options.connections);
  const throttle = createThrottle(options.rate, options.signal);
  let shut = false;
  const server = createServer({
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
  });
  server.on('connection', (socket) => {
    if (shut || sockets.size >= options.connections + HANDSHAKES) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    void guide(socket, { ...options, throttle, enter: (behind) => !shut && interior.enter(behind) });
  });
  if (!(await listen(server, options.address))) return undefined;
  const turnOut = () => {
    shut = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    traffic: interior.traffic,
    shutIfEmpty: () => {
      if (interior.traffic().inside > 0) return false;
      turnOut();
      return true;
    },
    close: async () => {
      turnOut();
      await new Promise<void>((resolve) => {
        // The only error is that it is closed already.
        server.close(() => resolve());
      });
    },
  };
}

/** Those who have named the export, by their connections to the server behind. */
function createInterior(most: number): { enter: (server: Socket) => boolean; traffic: () => Traffic } {
  const inside = new Set<Socket>();
  let entered = false;
  let bytesBefore = 0;
  return {
    enter: (server) => {
      if (inside.size >= most) return false;
      entered = true;
      inside.add(server);
      // The server closes its side when it has read to the end of what the client sent: until then somebody is inside.
      server.once('close', () => {
        inside.delete(server);
        bytesBefore += moved(server);
      });
      return true;
    },
    traffic: () => ({
      inside: inside.size,
      entered,
      bytes: [...inside].reduce((sum, socket) => sum + moved(socket), bytesBefore),
    }),
  };
}

function moved(socket: Socket): number {
  return socket.bytesRead + socket.bytesWritten;
}

/** A client that is not admitted is let go; it is not our trouble why. */
async function guide(socket: Socket, terms: AdmissionTerms): Promise<void> {
  // Ends are seen by their listeners; an error without one would end the process.
  socket.on('error', () => socket.destroy());
  const timer = setTimeout(() => socket.destroy(), HANDSHAKE_MS);
  try {
    await admit(socket, terms);
  } catch {
    socket.destroySoon();
  } finally {
    clearTimeout(timer);
  }
}

/** @returns false when the port is taken */
async function listen(server: Server, address: GateAddress): Promise<boolean> {
  const path = 'socketPath' in address ? address.socketPath : undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path === undefined ? address : { path }, () => {
        server.off('error', reject);
        // A connection that cannot be accepted, for want of file descriptors, is the client's loss and not the worker's end.
        server.on('error', () => undefined);
        resolve();
      });
    });
    // Whoever may use the directory and is of our group; the process's umask leaves the group no right to connect.
    if (path !== undefined) await chmod(path, 0o660);
    return true;
  } catch (cause) {
    server.close();
    if (errnoOf(cause) === 'EADDRINUSE') return false;
    throw new StrataError(
      'invalid_configuration',
      `Agents cannot connect here: ${(cause as Error).message}`,
      {
        field: path === undefined ? 'STRATA_PUSH_ADDRESS' : 'STRATA_PUSH_SOCKET_DIR',
        cause,
      },
    );
  }
}
