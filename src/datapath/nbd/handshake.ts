import type { ConnectionOptions } from 'node:tls';
import { HANDSHAKE, INFO, NBD_MAGIC, OPTION, OPTION_MAGIC, OPTION_REPLY } from './constants.js';
import { isEndedByPeer, protocolError } from './errors.js';
import { StrataError } from '../../shared/errors.js';
import { parseExportInfo, parseExportNameAnswer } from './exportInfo.js';
import { type ContextIds, setMetaContexts } from './metaContexts.js';
import {
  askOption,
  counted,
  type Haggler,
  isUnsupported,
  requireAccepted,
  sendOption,
  uint32,
} from './options.js';
import type { NbdExportInfo } from './types.js';

/** What both sides agreed on before options are asked. */
export interface Greeting {
  /** Options other than NBD_OPT_EXPORT_NAME may be asked. */
  fixed: boolean;
  noZeroes: boolean;
}

export interface Session {
  info: NbdExportInfo;
  structured: boolean;
  contexts: ContextIds;
}

/** @throws nbd_protocol_error if this is no newstyle NBD server */
export async function greet({ link, reader }: Haggler): Promise<Greeting> {
  const hello = await reader.read(18);
  if (hello.readBigUInt64BE(0) !== NBD_MAGIC) throw protocolError('The server does not speak NBD.');
  if (hello.readBigUInt64BE(8) !== OPTION_MAGIC)
    throw protocolError('The server speaks the oldstyle NBD handshake, which is not supported.');
  const flags = hello.readUInt16BE(16) & (HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes);
  link.send(uint32(flags));
  return { fixed: (flags & HANDSHAKE.fixedNewstyle) !== 0, noZeroes: (flags & HANDSHAKE.noZeroes) !== 0 };
}

/**
 * Encrypts the connection by NBD_OPT_STARTTLS.
 * @throws nbd_refused if the server cannot; there is no way back to plain text
 */
export async function encrypt(
  haggler: Haggler,
  greeting: Greeting,
  options: ConnectionOptions,
): Promise<void> {
  if (!greeting.fixed) throw new StrataError('nbd_refused', 'The NBD server cannot encrypt the connection.');
  requireAccepted(await askOption(haggler, OPTION.startTls, Buffer.alloc(0)), 'TLS');
  // Bytes that came before the encryption may be anybody's: taking them as the server's is how STARTTLS gets attacked.
  if (haggler.reader.takeRest().length > 0)
    throw protocolError('The server sent plain text after it agreed to TLS.');
  await haggler.link.startTls(options);
}

/** Chooses the export; afterwards the connection carries requests. */
export async function enterExport(
  haggler: Haggler,
  greeting: Greeting,
  exportName: string,
  metaContexts: readonly string[],
): Promise<Session> {
  if (!greeting.fixed) return { ...(await enterByName(haggler, greeting, exportName)), ...NO_EXTRAS };
  const structured = await askStructured(haggler);
  const contexts =
    structured && metaContexts.length > 0
      ? await setMetaContexts(haggler, exportName, metaContexts)
      : new Map();
  const request = Buffer.concat([counted(exportName), Buffer.from([0, 1, 0, INFO.blockSize])]);
  const outcome = await askOption(haggler, OPTION.go, request, OPTION_REPLY.info);
  if (isUnsupported(outcome)) {
    const entered = await enterByName(haggler, greeting, exportName);
    return { ...entered, structured, contexts };
  }
  const info = parseExportInfo(requireAccepted(outcome, `the export "${exportName}"`));
  return { info, structured, contexts };
}

const NO_EXTRAS = { structured: false, contexts: new Map<string, number>() };

/** @returns true if replies will be structured */
export async function askStructured(haggler: Haggler): Promise<boolean> {
  const outcome = await askOption(haggler, OPTION.structuredReply, Buffer.alloc(0));
  return outcome.refused === undefined;
}

/** NBD_OPT_EXPORT_NAME has no way to say no: the server closes the connection instead. */
async function enterByName(
  { link, reader }: Haggler,
  greeting: Greeting,
  exportName: string,
): Promise<{ info: NbdExportInfo }> {
  sendOption(link, OPTION.exportName, Buffer.from(exportName, 'utf8'));
  const answer = await reader.read(greeting.noZeroes ? 10 : 134).catch((cause: unknown) => {
    if (!isEndedByPeer(cause)) throw cause;
    throw new StrataError(
      'nbd_refused',
      `The NBD server closed the connection when asked for "${exportName}".`,
      {
        cause,
      },
    );
  });
  return { info: parseExportNameAnswer(answer) };
}
