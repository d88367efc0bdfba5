import { StrataError } from '../shared/errors.js';
import { checkAbsolutePath, escapeCommas } from './paths.js';

const DEFAULT_PORT = '10809';
const URI = /^(nbd|nbds|nbd\+unix):\/\//;

/**
 * Spells an NBD URI for a QEMU tool. `nbd://` stays a URI. `nbd+unix://` is spelled as options: QEMU 10 and later refuse
 * an escaped percent sign or ampersand in the socket's path, which 7.2 reads. `nbds://` is spelled as options with a TLS
 * object, whose certificates are in the directory named by the URI's `tls-certificates` (as in libnbd): QEMU wants
 * `ca-cert.pem` there, and `client-cert.pem` and `client-key.pem` if the server asks for them.
 * URI syntax: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/uri.md
 * @throws invalid_request for another scheme, or for `nbds://` without certificates
 */
export function nbdOpenArgs(uri: string, id: string): { objects: string[]; name: string } {
  const scheme = URI.exec(uri)?.[1];
  if (scheme === undefined) {
    throw new StrataError('invalid_request', 'An NBD address begins with nbd://, nbds:// or nbd+unix://.', {
      details: { uri },
    });
  }
  if (scheme === 'nbds') return tlsOpenArgs(uri, id);
  return { objects: [], name: scheme === 'nbd+unix' ? unixName(uri) : uri };
}

/** The query is decoded by hand: `URLSearchParams` reads a plus sign as a blank, which is right in forms only. */
function unixName(uri: string): string {
  const { pathname, search } = parseUri(uri);
  const socket = /^\?socket=([^&]*)$/.exec(search)?.[1];
  if (socket === undefined) {
    throw new StrataError(
      'invalid_request',
      'An nbd+unix:// address has the parameter "socket" and no other.',
      {
        details: { uri },
      },
    );
  }
  return nbdName(
    { type: 'unix', path: checkAbsolutePath(decode(socket, uri)) },
    decode(pathname.slice(1), uri),
  );
}

/** A server in QEMU's options (BlockdevOptionsNbd in qapi/block-core.json). */
type Server = { type: 'unix'; path: string } | { type: 'inet'; host: string; port: string };

function nbdName(server: Server, exportName: string, extra: { 'tls-creds'?: string } = {}): string {
  const options = { driver: 'raw', file: { driver: 'nbd', server, export: exportName, ...extra } };
  return `json:${JSON.stringify(options)}`;
}

function tlsOpenArgs(uri: string, id: string): { objects: string[]; name: string } {
  const url = parseUri(uri);
  const directory = url.searchParams.get('tls-certificates');
  if (directory === null) {
    throw new StrataError(
      'invalid_request',
      'An nbds:// address for a QEMU tool needs ?tls-certificates=/directory with ca-cert.pem in it.',
      { details: { uri } },
    );
  }
  const path = escapeCommas(checkAbsolutePath(directory));
  const server: Server = {
    type: 'inet',
    // A literal IPv6 address stands in brackets in a URI, and without them in QEMU's options.
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port || DEFAULT_PORT,
  };
  return {
    objects: ['--object', `tls-creds-x509,id=${id},endpoint=client,verify-peer=on,dir=${path}`],
    name: nbdName(server, decode(url.pathname.replace(/^\//, ''), uri), { 'tls-creds': id }),
  };
}

function parseUri(uri: string): URL {
  try {
    return new URL(uri);
  } catch (error) {
    throw notUri(uri, error);
  }
}

function decode(text: string, uri: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw notUri(uri, error);
  }
}

function notUri(uri: string, cause: unknown): StrataError {
  return new StrataError('invalid_request', 'The NBD address is not a URI.', { cause, details: { uri } });
}
