import type { ByteReader } from './byteReader.js';
import {
  MAX_OPTION_REPLIES,
  MAX_OPTION_REPLY,
  OPTION,
  OPTION_ERROR,
  OPTION_ERROR_BIT,
  OPTION_MAGIC,
  OPTION_REPLY,
  OPTION_REPLY_MAGIC,
} from './constants.js';
import { optionRefused, protocolError, serverText } from './errors.js';
import type { Link } from './link.js';

/** Both directions of a connection whose handshake is under way. */
export interface Haggler {
  link: Link;
  reader: ByteReader;
}

export interface OptionOutcome {
  /** The server's replies before its final one, of the type that was asked for. */
  replies: Buffer[];
  /** Set when the server refused: the type of its error reply and its text. */
  refused?: { type: number; message: string };
}

/** Sends an option of the handshake without waiting for its answer. */
export function sendOption(link: Link, option: number, data: Buffer): void {
  const header = Buffer.alloc(16);
  header.writeBigUInt64BE(OPTION_MAGIC, 0);
  header.writeUInt32BE(option, 8);
  header.writeUInt32BE(data.length, 12);
  link.send(header, data);
}

/**
 * Sends an option and collects its replies up to the final one.
 * @param replyType the type of the replies that may come before the acknowledgement, if any
 * @throws nbd_protocol_error for a malformed answer, too many or too long replies; the link's reason if it ends
 */
export async function askOption(
  { link, reader }: Haggler,
  option: number,
  data: Buffer,
  replyType?: number,
): Promise<OptionOutcome> {
  sendOption(link, option, data);
  const replies: Buffer[] = [];
  while (replies.length <= MAX_OPTION_REPLIES) {
    const { type, payload } = await readOptionReply(reader, option);
    if (type >= OPTION_ERROR_BIT) return { replies, refused: { type, message: serverText(payload) } };
    if (type === OPTION_REPLY.ack) {
      if (payload.length > 0) throw protocolError('An acknowledgement has content.');
      return { replies };
    }
    if (type !== replyType)
      throw protocolError('An option was answered by a reply of a wrong type.', { option, type });
    replies.push(payload);
  }
  throw protocolError('An option has too many replies.', { option });
}

/** @throws nbd_refused (nbd_connection_lost for a server that shuts down) if the server refused the option */
export function requireAccepted(outcome: OptionOutcome, what: string): Buffer[] {
  if (outcome.refused) throw optionRefused(what, outcome.refused.type, outcome.refused.message);
  return outcome.replies;
}

/** True if the server does not know the option at all. */
export function isUnsupported(outcome: OptionOutcome): boolean {
  return outcome.refused?.type === OPTION_ERROR.unsupported;
}

/** Says that we leave, as the protocol asks for; the server's answer is not waited for. */
export function sendAbort(link: Link): void {
  sendOption(link, OPTION.abort, Buffer.alloc(0));
}

/** A string with its 32-bit length before it. */
export function counted(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([uint32(bytes.length), bytes]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

async function readOptionReply(
  reader: ByteReader,
  option: number,
): Promise<{ type: number; payload: Buffer }> {
  const header = await reader.read(20);
  if (header.readBigUInt64BE(0) !== OPTION_REPLY_MAGIC)
    throw protocolError('The reply to an option begins with a wrong magic number.');
  if (header.readUInt32BE(8) !== option)
    throw protocolError('A reply belongs to another option.', { option });
  const length = header.readUInt32BE(16);
  if (length > MAX_OPTION_REPLY)
    throw protocolError('The reply to an option is too long.', { option, length });
  return { type: header.readUInt32BE(12), payload: await reader.read(length) };
}
