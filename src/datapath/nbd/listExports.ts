import { haggleWith } from './connect.js';
import { MAX_STRING, OPTION, OPTION_REPLY } from './constants.js';
import { protocolError, serverText } from './errors.js';
import { askStructured } from './handshake.js';
import { listContextNames } from './metaContexts.js';
import { askOption, requireAccepted } from './options.js';
import type { NbdConnectOptions } from './types.js';

export interface NbdExportEntry {
  name: string;
  /** The server's text for people; often empty. */
  description: string;
}

export type NbdListOptions = Pick<NbdConnectOptions, 'signal' | 'connectTimeoutMs' | 'tls'>;

/**
 * The exports that a server tells of (NBD_OPT_LIST); the URI's export name plays no part.
 * @throws nbd_refused if the server does not list them, and as connectNbd
 */
export async function listExports(uri: string, options: NbdListOptions = {}): Promise<NbdExportEntry[]> {
  return haggleWith(uri, options, async (haggler) => {
    const outcome = await askOption(haggler, OPTION.list, Buffer.alloc(0), OPTION_REPLY.server);
    return requireAccepted(outcome, 'the list of exports').map(parseEntry);
  });
}

/**
 * The meta contexts of the URI's export that match the queries: a full name, or `base:`, `qemu:`,
 * `qemu:dirty-bitmap:` for all of a kind (NBD_OPT_LIST_META_CONTEXT). All of them for no query. None from a server without structured replies.
 * @throws nbd_refused if the export does not exist, and as connectNbd
 */
export async function listMetaContexts(
  uri: string,
  queries: readonly string[] = [],
  options: NbdListOptions = {},
): Promise<string[]> {
  return haggleWith(uri, options, async (haggler, address) => {
    if (!(await askStructured(haggler))) return [];
    return listContextNames(haggler, address.exportName, queries);
  });
}

function parseEntry(reply: Buffer): NbdExportEntry {
  const length = reply.length < 4 ? Number.POSITIVE_INFINITY : reply.readUInt32BE(0);
  if (length > MAX_STRING || 4 + length > reply.length)
    throw protocolError('An entry of the export list is malformed.');
  return { name: reply.toString('utf8', 4, 4 + length), description: serverText(reply.subarray(4 + length)) };
}
