import { StrataError } from '../shared/errors.js';
import { checkAbsolutePath, escapeCommas } from './paths.js';

const DEFAULT_PORT = '10809';
const URI = /^(nbd|nbds|nbd\+unix):\/\//;

/**
 * Spells an NBD URI for a QEMU tool. QEMU 7.2 knows `nbd://` and `nbd+unix://`; `nbds://` is spelled as options with a
 * TLS object, whose certificates are in the directory named by the URI's `tls-certificates` (as in libnbd): QEMU wants
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
  return scheme === 'nbds' ? tlsOpenArgs(uri, id) : { objects: [], name: uri };
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
  const options = {
    driver: 'raw',
    file: {
      driver: 'nbd',
      server: {
        type: 'inet',
        // A literal IPv6 address stands in brackets in a URI, and without them in QEMU's options.
        host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
        port: url.port || DEFAULT_PORT,
      },
      export: decodeURIComponent(url.pathname.replace(/^\//, '')),
      'tls-creds': id,
    },
  };
  return {
    objects: ['--object', `tls-creds-x509,id=${id},endpoint=client,verify-peer=on,dir=${path}`],
    name: `json:${JSON.stringify(options)}`,
  };
}

function parseUri(uri: string): URL {
  try {
    return new URL(uri);
  } catch (error) {
    throw new StrataError('invalid_request', 'The NBD address is not a URI.', {
      cause: error,
      details: { uri },
    });
  }
}
