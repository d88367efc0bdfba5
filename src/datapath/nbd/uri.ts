import { StrataError } from '../../shared/errors.js';
import { DEFAULT_PORT, MAX_STRING } from './constants.js';

interface NbdTarget {
  exportName: string;
  /** The connection must be encrypted; without it, it never is. */
  tls: boolean;
  /** From the URI's user information: the identity for TLS with a pre-shared key. */
  username?: string;
}

export type NbdAddress =
  | ({ kind: 'unix'; socketPath: string } & NbdTarget)
  | ({ kind: 'tcp'; host: string; port: number } & NbdTarget);

const SHAPE = /^(nbds?)(\+unix)?:\/\/([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/i;
const AUTHORITY = /^(?:([^@]*)@)?(\[[0-9A-Fa-f:.]+\]|[^@:[\]]+)(?::(\d{1,5}))?$/;
const HOST = /^[A-Za-z0-9_.-]{1,253}$/;
/** Room of `sockaddr_un.sun_path` on Linux without its closing NUL. */
const MAX_SOCKET_PATH = 107;

/**
 * Parses `nbd://host[:port]/export`, `nbds://`, `nbd+unix:///export?socket=/path` and `nbds+unix://`, as described in
 * doc/uri.md of the NBD project. The export name is the decoded path without its first slash, and may be empty.
 * Stricter than that document where it leaves a choice: TCP needs a host, a unix URI has none, socket paths are absolute, and
 * query parameters other than `socket` are refused, because a TLS setting that is ignored is a false promise.
 * @throws invalid_request for anything else
 */
export function parseNbdUri(uri: string): NbdAddress {
  const shape = SHAPE.exec(uri);
  // oxlint-disable-next-line no-control-regex -- a URI has no blanks and no control characters (RFC 3986)
  if (!shape || /[\u0000-\u0020\u007f]/.test(uri)) throw invalid('It does not have the form of an NBD URI.');
  const [, scheme = '', unix, authority = '', path = '', query] = shape;
  const tls = scheme.toLowerCase() === 'nbds';
  const exportName = decode(path.slice(1), 'export name');
  if (Buffer.byteLength(exportName) > MAX_STRING) throw invalid('The export name is longer than 4096 bytes.');
  const parameters = parseQuery(query);
  if (unix !== undefined) return unixAddress(authority, parameters, { exportName, tls });
  if (parameters.size > 0) throw invalid('A TCP URI takes no query parameters.');
  return tcpAddress(authority, { exportName, tls });
}

function unixAddress(authority: string, parameters: Map<string, string>, target: NbdTarget): NbdAddress {
  if (authority !== '') throw invalid('A unix socket URI has no host.');
  const socketPath = parameters.get('socket');
  if (socketPath === undefined || parameters.size > 1)
    throw invalid('A unix socket URI has the query parameter "socket" and no other.');
  if (!socketPath.startsWith('/')) throw invalid('The socket path must be absolute.');
  if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH)
    throw invalid('The socket path is longer than 107 bytes.');
  return { kind: 'unix', socketPath, ...target };
}

function tcpAddress(authority: string, target: NbdTarget): NbdAddress {
  const match = AUTHORITY.exec(authority);
  if (!match) throw invalid('The host or the port is missing or malformed.');
  const [, user, rawHost = '', rawPort] = match;
  const host = rawHost.startsWith('[') ? rawHost.slice(1, -1) : decode(rawHost, 'host');
  if (!rawHost.startsWith('[') && !HOST.test(host)) throw invalid('The host is malformed.');
  const port = rawPort === undefined ? DEFAULT_PORT : Number(rawPort);
  if (port < 1 || port > 65535) throw invalid('The port is not between 1 and 65535.');
  if (user === undefined) return { kind: 'tcp', host, port, ...target };
  if (user === '' || user.includes(':')) throw invalid('The user is empty, or carries a password.');
  return { kind: 'tcp', host, port, ...target, username: decode(user, 'user') };
}

function parseQuery(query: string | undefined): Map<string, string> {
  const parameters = new Map<string, string>();
  if (query === undefined || query === '') return parameters;
  for (const pair of query.split('&')) {
    const at = pair.indexOf('=');
    if (at < 1) throw invalid('A query parameter has no value.');
    const key = decode(pair.slice(0, at), 'query');
    if (parameters.has(key)) throw invalid(`The query parameter "${key}" is given twice.`);
    parameters.set(key, decode(pair.slice(at + 1), 'query'));
  }
  return parameters;
}

function decode(text: string, what: string): string {
  try {
    const decoded = decodeURIComponent(text);
    if (!decoded.includes('\0')) return decoded;
  } catch (cause) {
    throw invalid(`The ${what} has a malformed percent escape.`, cause);
  }
  throw invalid(`The ${what} contains a NUL character.`);
}

function invalid(why: string, cause?: unknown): StrataError {
  return new StrataError('invalid_request', `The NBD URI is not valid. ${why}`, {
    field: 'uri',
    ...(cause === undefined ? {} : { cause }),
  });
}
