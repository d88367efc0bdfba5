import { connect as connectPlain, type NetConnectOpts, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { connectionEnded, connectionLost } from './errors.js';
import type { NbdAddress } from './uri.js';

/** Who gets a link's bytes. */
export interface Receiver {
  /** Bytes in order. They are valid only during the call. Must not throw. */
  data(chunk: Buffer): void;
  /** Memory that the next bytes may be read straight into, instead of passing through `data`. */
  directTarget?(): Buffer | undefined;
  /** So many bytes were read into it. Must not throw. */
  directFilled?(bytes: number): void;
  /** Called once: nothing comes any more, and no memory of a direct target is touched any more. */
  ended(reason: Error): void;
}

/** A socket, plain or encrypted, whose every end is a reason that reaches the receiver. */
export interface Link {
  /** Resolves when the connection stands; rejects with the reason of `destroy`. */
  connected(): Promise<void>;
  /** Encrypts; resolves after the TLS handshake. Nothing may be in flight in either direction. */
  startTls(options: ConnectionOptions): Promise<void>;
  receive(receiver: Receiver): void;
  /** Sends the parts in one system call, together with what else is sent in this turn of the event loop. */
  send(...parts: Buffer[]): void;
  /** Bytes that the kernel has taken of what was sent. */
  sentBytes(): number;
  /** Ends our side and waits for the server to end its own, at most `ms` milliseconds. Never rejects. */
  finish(ms: number): Promise<void>;
  destroy(reason: Error): void;
}

/** Room for many small replies in one read; larger payloads go directly where they belong. */
const SCRATCH_BYTES = 256 * 1024;
/** Below this, one more read costs more than copying from the scratch buffer. */
const DIRECT_BYTES = 64 * 1024;

/**
 * Opens a connection; errors and the end of the socket go to the receiver.
 * Plain links read by `onread` into memory of ours. That listener does not survive an upgrade to TLS, so that links
 * which will be encrypted use data events.
 */
export function openLink(address: NbdAddress): Link {
  const state: LinkState = {
    receiver: undefined,
    failure: undefined,
    corked: false,
    sentBytes: 0,
    onFailure: [],
  };
  const target: NetConnectOpts =
    address.kind === 'unix'
      ? { path: address.socketPath }
      : { host: address.host, port: address.port, noDelay: true };
  const raw = connectPlain(address.tls ? target : { ...target, onread: directReads(state) });
  let socket: Socket = raw;
  const destroy = (reason: Error) => {
    if (state.failure) return;
    state.failure = reason;
    // Closing stops reads and writes at once, before anybody is told that memory of theirs is free again.
    socket.destroy();
    raw.destroy();
    for (const notify of state.onFailure) notify(reason);
    state.receiver?.ended(reason);
  };
  watch(raw, state, destroy, address.tls);

  return {
    connected: () => settled(raw, 'connect', state),
    startTls: (options) => {
      raw.removeAllListeners('data');
      socket = connectTls({ ...options, socket: raw });
      watch(socket, state, destroy, true);
      return settled(socket, 'secureConnect', state);
    },
    receive: (receiver) => {
      state.receiver = receiver;
      if (state.failure) receiver.ended(state.failure);
    },
    send: (...parts) => send(socket, state, parts),
    sentBytes: () => state.sentBytes,
    finish: (ms) => finish(socket, state, ms, destroy),
    destroy,
  };
}

interface LinkState {
  receiver: Receiver | undefined;
  failure: Error | undefined;
  corked: boolean;
  sentBytes: number;
  onFailure: ((reason: Error) => void)[];
}

function watch(
  socket: Socket,
  state: LinkState,
  destroy: (reason: Error) => void,
  dataEvents: boolean,
): void {
  socket.on('error', (cause) =>
    destroy(connectionEnded(`The NBD connection failed: ${cause.message}`, cause)),
  );
  socket.on('end', () => destroy(connectionEnded('The NBD server closed the connection.')));
  socket.on('close', () => destroy(connectionEnded('The NBD connection was closed.')));
  if (dataEvents) socket.on('data', (chunk: Buffer) => state.receiver?.data(chunk));
}

/** The `onread` option of net.Socket: asks before every read where the bytes shall go. */
function directReads(state: LinkState) {
  const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  let direct: Buffer | undefined;
  return {
    buffer: (): Uint8Array => {
      const target = state.failure ? undefined : state.receiver?.directTarget?.();
      direct = target && target.length >= DIRECT_BYTES ? target : undefined;
      return direct ?? scratch;
    },
    callback: (bytes: number): boolean => {
      if (direct) state.receiver?.directFilled?.(bytes);
      else state.receiver?.data(scratch.subarray(0, bytes));
      return true;
    },
  };
}

function send(socket: Socket, state: LinkState, parts: readonly Buffer[]): void {
  if (state.failure) return;
  if (!state.corked) {
    state.corked = true;
    socket.cork();
    queueMicrotask(() => {
      state.corked = false;
      socket.uncork();
    });
  }
  for (const part of parts) {
    socket.write(part, () => {
      state.sentBytes += part.length;
    });
  }
}

function settled(socket: Socket, event: 'connect' | 'secureConnect', state: LinkState): Promise<void> {
  return new Promise((resolve, reject) => {
    if (state.failure) return reject(state.failure);
    state.onFailure.push(reject);
    socket.once(event, () => resolve());
  });
}

function finish(
  socket: Socket,
  state: LinkState,
  ms: number,
  destroy: (reason: Error) => void,
): Promise<void> {
  return new Promise((resolve) => {
    if (state.failure) return resolve();
    const timer = setTimeout(
      () => destroy(connectionLost('The NBD server did not close the connection.')),
      ms,
    );
    state.onFailure.push(() => {
      clearTimeout(timer);
      resolve();
    });
    socket.end();
  });
}
