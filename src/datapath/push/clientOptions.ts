import type { ByteReader } from '../nbd/byteReader.js';
import { MAX_STRING, OPTION, OPTION_MAGIC, OPTION_REPLY_MAGIC } from '../nbd/constants.js';
import { protocolError } from '../nbd/errors.js';

/** What a client sends during the handshake, as doc/proto.md of the NBD project has it. */
export type ClientMessage =
  | { kind: 'option'; option: number; data: Buffer }
  /** The handshake is over: these bytes, and all that follow, are requests. */
  | { kind: 'requests'; begin: Buffer };

/** First four bytes of an option; a request begins with others. */
const OPTION_BEGIN = Number(OPTION_MAGIC >> 32n);
/** An export name and some meta context queries, each of at most 4,096 bytes; more is a client that tries to fill memory. */
const MOST_DATA = 16 * MAX_STRING;

/**
 * Reads the client's next option, or finds that its requests begin.
 * @throws nbd_protocol_error for a malformed or overlong option, and the reader's reason if the client goes away
 */
export async function readMessage(reader: ByteReader): Promise<ClientMessage> {
  const begin = await reader.read(4);
  if (begin.readUInt32BE(0) !== OPTION_BEGIN) return { kind: 'requests', begin };
  const rest = await reader.read(12);
  if (Buffer.concat([begin, rest]).readBigUInt64BE(0) !== OPTION_MAGIC)
    throw protocolError('An option begins with a wrong magic number.');
  const option = rest.readUInt32BE(4);
  const length = rest.readUInt32BE(8);
  if (length > MOST_DATA) throw protocolError('An option is too long.', { option, length });
  return { kind: 'option', option, data: await reader.read(length) };
}

/** An option as it goes to the server. */
export function encodeOption(option: number, data: Buffer): Buffer {
  const header = Buffer.alloc(16);
  header.writeBigUInt64BE(OPTION_MAGIC, 0);
  header.writeUInt32BE(option, 8);
  header.writeUInt32BE(data.length, 12);
  return Buffer.concat([header, data]);
}

/** A final reply to an option: an acknowledgement without text, or an error with one. */
export function encodeReply(option: number, type: number, text = ''): Buffer {
  const payload = Buffer.from(text, 'utf8');
  const header = Buffer.alloc(20);
  header.writeBigUInt64BE(OPTION_REPLY_MAGIC, 0);
  header.writeUInt32BE(option, 8);
  header.writeUInt32BE(type, 12);
  header.writeUInt32BE(payload.length, 16);
  return Buffer.concat([header, payload]);
}

/** Options that name an export at the beginning of their data, with its length before it. */
const COUNTED: readonly number[] = [OPTION.info, OPTION.go, OPTION.listMetaContext, OPTION.setMetaContext];

/**
 * The export that an option names, and its data with another name in its place; undefined for an option without a name.
 * @throws nbd_protocol_error when the name does not fit into the data
 */
export function namedExport(
  option: number,
  data: Buffer,
): { name: Buffer; renamed: (name: string) => Buffer } | undefined {
  if (option === OPTION.exportName) return { name: data, renamed: (name) => Buffer.from(name, 'utf8') };
  if (!COUNTED.includes(option)) return undefined;
  const length = data.length < 4 ? Number.POSITIVE_INFINITY : data.readUInt32BE(0);
  if (4 + length > data.length) throw protocolError('The name in an option is malformed.', { option });
  const rest = data.subarray(4 + length);
  return {
    name: data.subarray(4, 4 + length),
    renamed: (name) => {
      const bytes = Buffer.from(name, 'utf8');
      const count = Buffer.alloc(4);
      count.writeUInt32BE(bytes.length);
      return Buffer.concat([count, bytes, rest]);
    },
  };
}
