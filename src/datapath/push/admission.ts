import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Transform } from 'node:stream';
import { callbackify } from 'node:util';
import type { Throttle } from '../engine/throttle.js';
import { createByteReader, type ByteReader } from '../nbd/byteReader.js';
import { HANDSHAKE, NBD_MAGIC, OPTION, OPTION_ERROR, OPTION_MAGIC, OPTION_REPLY } from '../nbd/constants.js';
import { connectionEnded, protocolError } from '../nbd/errors.js';
import { encodeOption, encodeReply, namedExport, readMessage } from './clientOptions.js';
import { encryptAccepted, type GateCredentials } from './gateTls.js';

/** What a client has to know, and whom it is connected with then. */
export interface AdmissionTerms {
  /** Whoever names it may write: 128 random bits, never listed. */
  exportName: string;
  /** Undefined: plain text, and TLS is refused. */
  credentials: GateCredentials | undefined;
  /** The server behind the gate, which serves one export without a name to whoever may open its socket. */
  serverSocket: string;
  /** Holds what agents send to the job's limit. */
  throttle: Throttle;
  /** Asked when the client has named the export; false while as many as may be are inside. */
  enter: (server: Socket) => boolean;
}

const GREETING = Buffer.alloc(18);
GREETING.writeBigUInt64BE(NBD_MAGIC, 0);
GREETING.writeBigUInt64BE(OPTION_MAGIC, 8);
GREETING.writeUInt16BE(HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes, 16);

/**
 * Brings an accepted connection through the handshake: TLS, if there are credentials, and the export's name, which is the
 * agent's right to write. Everything else of the handshake is between the client and the server behind. Afterwards the
 * two are piped together, until one of them closes.
 * @throws nbd_protocol_error, nbd_connection_lost, nbd_refused: the connection is then of no use and the caller destroys it
 */
export async function admit(accepted: Socket, terms: AdmissionTerms): Promise<void> {
  let client = accepted;
  let reader = listenTo(client);
  client.write(GREETING);
  const flags = await reader.read(4);
  if ((flags.readUInt32BE(0) & HANDSHAKE.fixedNewstyle) === 0)
    throw protocolError('The client does not negotiate options.');
  if (terms.credentials) {
    await awaitStartTls(client, reader);
    client = await encryptAccepted(accepted, terms.credentials);
    reader = listenTo(client);
  }
  const server = await connectServer(terms.serverSocket, flags);
  const entrance = limited(terms.throttle);
  entrance.once('error', () => server.destroy());
  client.once('close', () => entrance.end());
  server.once('close', () => client.destroySoon());
  try {
    server.pipe(client);
    const begin = await negotiate({ client, server, reader }, terms);
    entrance.pipe(server);
    entrance.write(Buffer.concat([begin, reader.takeRest()]));
    client.removeAllListeners('data');
    client.pipe(entrance);
  } catch (error) {
    server.destroy();
    throw error;
  }
}

/** Lets bytes through as fast as they may be moved. */
function limited(throttle: Throttle): Transform {
  const paid = callbackify(async (chunk: Buffer) => {
    await throttle(chunk.length);
    return chunk;
  });
  return new Transform({ transform: (chunk: Buffer, _encoding, done) => paid(chunk, done) });
}

/** Gathers what a socket sends, until its listeners are removed. */
function listenTo(socket: Socket): ByteReader {
  const reader = createByteReader((reason) => socket.destroy(reason));
  socket.on('data', (chunk: Buffer) => reader.data(chunk));
  socket.once('error', (cause) => reader.ended(connectionEnded('The client is gone.', cause)));
  socket.once('close', () => reader.ended(connectionEnded('The client is gone.')));
  socket.once('end', () => reader.ended(connectionEnded('The client has left.')));
  return reader;
}

/** Until the connection is encrypted, a client gets nothing but that. */
async function awaitStartTls(client: Socket, reader: ByteReader): Promise<void> {
  for (;;) {
    const message = await readMessage(reader);
    if (message.kind !== 'option' || message.option === OPTION.exportName)
      throw protocolError('The client does not encrypt the connection.');
    const { option, data } = message;
    if (option === OPTION.startTls) {
      // Bytes that came before the encryption may be anybody's: taking them as the client's is how STARTTLS gets attacked.
      if (data.length > 0 || reader.takeRest().length > 0)
        throw protocolError('The client sent plain text after it had asked for TLS.');
      client.removeAllListeners('data');
      client.pause();
      client.write(encodeReply(option, OPTION_REPLY.ack));
      return;
    }
    if (option === OPTION.abort) throw leave(client);
    client.write(encodeReply(option, OPTION_ERROR.tlsRequired, 'This export wants TLS.'));
  }
}

function leave(client: Socket): Error {
  client.end(encodeReply(OPTION.abort, OPTION_REPLY.ack));
  return connectionEnded('The client has left.');
}

/** Connects to the server behind, takes its greeting and gives it the client's flags. */
async function connectServer(path: string, flags: Buffer): Promise<Socket> {
  const server = connect({ path });
  const reader = listenTo(server);
  try {
    await once(server, 'connect');
    await reader.read(GREETING.length);
    server.removeAllListeners('data');
    server.write(flags);
    return server;
  } catch (error) {
    server.destroy();
    throw error;
  }
}

interface Parties {
  client: Socket;
  server: Socket;
  reader: ByteReader;
}

/**
 * Passes the client's options on, until it has named the export and its requests begin.
 * @returns the first bytes of the requests
 */
async function negotiate({ client, server, reader }: Parties, terms: AdmissionTerms): Promise<Buffer> {
  let inside = false;
  for (;;) {
    const message = await readMessage(reader);
    if (message.kind === 'requests') {
      if (inside) return message.begin;
      throw protocolError('Requests come before an export was named.');
    }
    const { option, data } = message;
    const refuse = (error: number, text: string) => {
      if (option === OPTION.exportName) throw protocolError(text);
      client.write(encodeReply(option, error, text));
    };
    const named = namedExport(option, data);
    if (option === OPTION.list || option === OPTION.startTls) {
      refuse(OPTION_ERROR.policy, 'That is not told here.');
    } else if (named && !isSame(named.name, terms.exportName)) {
      refuse(OPTION_ERROR.unknown, 'There is no such export.');
    } else if (entersExport(option) && !inside && !terms.enter(server)) {
      refuse(OPTION_ERROR.policy, 'All connections of the export are in use.');
    } else {
      inside ||= entersExport(option);
      server.write(encodeOption(option, named ? named.renamed('') : data));
      if (option === OPTION.exportName) return Buffer.alloc(0);
    }
  }
}

function entersExport(option: number): boolean {
  return option === OPTION.go || option === OPTION.exportName;
}

/** Compares without telling by its time how much was right. */
function isSame(name: Buffer, expected: string): boolean {
  const digest = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest();
  return timingSafeEqual(digest(name), digest(expected));
}
