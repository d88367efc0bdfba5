import { protocolError } from './errors.js';
import type { Receiver } from './link.js';

/** Pulls exact numbers of bytes out of a link during the handshake. */
export interface ByteReader extends Receiver {
  /** The next `length` bytes. One call at a time. Rejects with the link's reason when it ends before. */
  read(length: number): Promise<Buffer>;
  /** What came and was not read; the reader has nothing afterwards. */
  takeRest(): Buffer;
}

/** The handshake asks for one thing at a time; more than this unasked is a server that tries to fill memory. */
const MAX_UNREAD_BYTES = 1024 * 1024;

/** @param overflow called when the server sends far more than was asked for; it must end the link */
export function createByteReader(overflow: (reason: Error) => void): ByteReader {
  let unread: Buffer = Buffer.alloc(0);
  let failure: Error | undefined;
  let waiting:
    | { length: number; resolve: (bytes: Buffer) => void; reject: (reason: Error) => void }
    | undefined;

  const serve = () => {
    if (!waiting || unread.length < waiting.length) return;
    const { length, resolve } = waiting;
    waiting = undefined;
    resolve(unread.subarray(0, length));
    unread = unread.subarray(length);
  };

  return {
    data(chunk) {
      if (unread.length + chunk.length > MAX_UNREAD_BYTES)
        return overflow(protocolError('The server sent too much during the handshake.'));
      unread = Buffer.concat([unread, chunk]);
      serve();
    },
    ended(reason) {
      failure = reason;
      waiting?.reject(reason);
      waiting = undefined;
    },
    read(length) {
      return new Promise((resolve, reject) => {
        if (failure && unread.length < length) return reject(failure);
        waiting = { length, resolve, reject };
        serve();
      });
    },
    takeRest() {
      const rest = unread;
      unread = Buffer.alloc(0);
      return rest;
    },
  };
}
