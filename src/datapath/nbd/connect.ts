import { abortReason, throwIfAborted } from '../../shared/abort.js';
import { StrataError } from '../../shared/errors.js';
import { createByteReader } from './byteReader.js';
import { createClient } from './client.js';
import { connectionLost } from './errors.js';
import { encrypt, enterExport, type Greeting, greet } from './handshake.js';
import { type Link, openLink } from './link.js';
import { type Haggler, sendAbort } from './options.js';
import { tlsConnectionOptions } from './tls.js';
import { startTransmission } from './transmission.js';
import type { NbdClient, NbdConnectOptions } from './types.js';
import { type NbdAddress, parseNbdUri } from './uri.js';

const CONNECT_TIMEOUT_MS = 10_000;
/** Default of NbdConnectOptions.requestTimeoutMs. */
export const REQUEST_TIMEOUT_MS = 30_000;
const MAX_IN_FLIGHT = 16;
const MOST_IN_FLIGHT = 1024;
/** Time for a server to close its side after NBD_OPT_ABORT, in ms. */
const LEAVE_MS = 1000;

/**
 * Connects to an export and negotiates everything. The caller closes the client.
 * @throws invalid_request for a bad URI or option; nbd_connection_lost if the server cannot be reached, goes away, or takes too long;
 * nbd_refused if it does not give the export, or no TLS; nbd_protocol_error; the signal's reason
 */
export async function connectNbd(uri: string, options: NbdConnectOptions = {}): Promise<NbdClient> {
  const address = parseNbdUri(uri);
  const maxInFlight = checkOption('maxInFlight', options.maxInFlight ?? MAX_IN_FLIGHT, MOST_IN_FLIGHT);
  const requestTimeoutMs = checkOption(
    'requestTimeoutMs',
    options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
    MAX_TIMER_MS,
  );
  const connection = openConnection(address, options);
  try {
    const { haggler, greeting } = await connection.established();
    const session = await enterExport(haggler, greeting, address.exportName, options.metaContexts ?? []);
    connection.stopTimer();
    const { info, structured, contexts } = session;
    const transmission = startTransmission({
      link: haggler.link,
      rules: { structured, sizeBytes: info.sizeBytes, contextIds: new Set(contexts.values()) },
      rest: haggler.reader.takeRest(),
      maxInFlight,
      requestTimeoutMs,
      onEnd: () => connection.release(),
    });
    return createClient(session, transmission, maxInFlight);
  } catch (error) {
    connection.abandon(error);
    throw error;
  }
}

/**
 * Does something with a server during the handshake, without entering an export, and leaves.
 * @throws as connectNbd
 */
export async function haggleWith<T>(
  uri: string,
  options: Omit<NbdConnectOptions, 'metaContexts' | 'maxInFlight' | 'requestTimeoutMs'>,
  work: (haggler: Haggler, address: NbdAddress) => Promise<T>,
): Promise<T> {
  const address = parseNbdUri(uri);
  const connection = openConnection(address, options);
  try {
    const { haggler, greeting } = await connection.established();
    if (!greeting.fixed) throw new StrataError('nbd_refused', 'The NBD server does not negotiate options.');
    const result = await work(haggler, address);
    sendAbort(haggler.link);
    await haggler.link.finish(LEAVE_MS);
    connection.release();
    return result;
  } catch (error) {
    connection.abandon(error);
    throw error;
  }
}

interface Connection {
  /** Connected, greeted and, if the address wants it, encrypted. */
  established(): Promise<{ haggler: Haggler; greeting: Greeting }>;
  stopTimer(): void;
  /** Stops listening to the signal and the timer. */
  release(): void;
  abandon(reason: unknown): void;
}

/** A link that the deadline and the signal destroy, whatever it is busy with. */
function openConnection(address: NbdAddress, options: NbdConnectOptions): Connection {
  const { signal } = options;
  throwIfAborted(signal);
  const timeoutMs = checkOption(
    'connectTimeoutMs',
    options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    MAX_TIMER_MS,
  );
  const tls = address.tls ? tlsConnectionOptions(address, options.tls) : undefined;
  const link: Link = openLink(address);
  const reader = createByteReader((reason) => link.destroy(reason));
  link.receive(reader);
  const timer = setTimeout(() => {
    link.destroy(connectionLost(`The NBD server did not finish the handshake within ${timeoutMs} ms.`));
  }, timeoutMs);
  const onAbort = () => {
    if (signal) link.destroy(abortReason(signal));
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  const release = () => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  };
  return {
    established: async () => {
      await link.connected();
      const haggler = { link, reader };
      const greeting = await greet(haggler);
      if (tls) await encrypt(haggler, greeting, tls);
      return { haggler, greeting };
    },
    stopTimer: () => clearTimeout(timer),
    release,
    abandon: (reason) => {
      release();
      link.destroy(reason instanceof Error ? reason : new Error(String(reason)));
    },
  };
}

/** The longest span that setTimeout takes, in ms; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function checkOption(field: string, value: number, most: number): number {
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return value;
  throw new StrataError('invalid_request', `The option ${field} must be a whole number from 1 to ${most}.`, {
    field,
  });
}
