import type { ConnectionOptions } from 'node:tls';
import { isIP } from 'node:net';
import { StrataError } from '../../shared/errors.js';
import type { NbdTlsOptions } from './types.js';
import type { NbdAddress } from './uri.js';

/** RFC 4279 suites with forward secrecy first. GnuTLS servers (nbdkit, qemu) speak them in TLS 1.2. */
export const PSK_CIPHERS =
  'ECDHE-PSK-CHACHA20-POLY1305:DHE-PSK-AES256-GCM-SHA384:DHE-PSK-AES128-GCM-SHA256:PSK-AES256-GCM-SHA384';

/**
 * Options for node:tls that authenticate the server: by its certificate, for the URI's host unless `servername` says
 * otherwise, or by a pre-shared key. There is no way to skip the check.
 * @throws invalid_configuration if a pre-shared key comes without an identity
 */
export function tlsConnectionOptions(address: NbdAddress, options: NbdTlsOptions = {}): ConnectionOptions {
  if (options.psk) return pskOptions(address, options.psk);
  const host = address.kind === 'tcp' ? address.host : 'localhost';
  const name = options.servername ?? host;
  return {
    minVersion: 'TLSv1.2',
    // The name of the certificate; SNI carries host names only, never addresses (RFC 6066).
    host: name,
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.cert === undefined ? {} : { cert: options.cert }),
    ...(options.key === undefined ? {} : { key: options.key }),
  };
}

function pskOptions(address: NbdAddress, psk: NonNullable<NbdTlsOptions['psk']>): ConnectionOptions {
  const identity = psk.identity ?? address.username;
  if (identity === undefined)
    throw new StrataError('invalid_configuration', 'A TLS pre-shared key needs an identity.', {
      field: 'tls.psk.identity',
    });
  return {
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.2',
    ciphers: PSK_CIPHERS,
    pskCallback: () => ({ identity, psk: psk.key }),
    // Both sides prove that they know the key; there is no certificate whose name could be checked.
    checkServerIdentity: () => undefined,
  };
}
