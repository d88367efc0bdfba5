import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createServer, type TlsOptions, type TLSSocket } from 'node:tls';
import { StrataError } from '../../shared/errors.js';
import { connectionEnded } from '../nbd/errors.js';
import { PSK_CIPHERS } from '../nbd/tls.js';

/** How agents prove who they are, and the export proves who it is. */
export type GateCredentials =
  | { kind: 'psk'; keys: ReadonlyMap<string, Buffer> }
  | { kind: 'x509'; ca: Buffer; cert: Buffer; key: Buffer };

/** `identity:hex key`, as `psktool` of GnuTLS writes it and QEMU, nbdkit and libnbd read it. At least 128 bits. */
const PSK_LINE = /^([^:\s]{1,128}):((?:[0-9A-Fa-f]{2}){16,64})$/;
const HANDSHAKE_MS = 10_000;

/**
 * Reads the credentials of the exports from a directory, in files named as QEMU names them: `keys.psk`, or `ca-cert.pem`,
 * `server-cert.pem` and `server-key.pem`. Read anew for each export, so that renewed ones count at once.
 * @throws invalid_configuration for a file that is missing or malformed
 */
export async function readGateCredentials(
  kind: GateCredentials['kind'],
  directory: string,
): Promise<GateCredentials> {
  const read = async (name: string): Promise<Buffer> => {
    try {
      return await readFile(join(directory, name));
    } catch (cause) {
      throw new StrataError('invalid_configuration', `${join(directory, name)} cannot be read.`, {
        field: 'STRATA_PUSH_TLS_DIR',
        cause,
      });
    }
  };
  if (kind === 'psk') return { kind, keys: parseKeys((await read('keys.psk')).toString('utf8')) };
  const [ca, cert, key] = await Promise.all([
    read('ca-cert.pem'),
    read('server-cert.pem'),
    read('server-key.pem'),
  ]);
  return { kind, ca, cert, key };
}

function parseKeys(text: string): ReadonlyMap<string, Buffer> {
  const keys = new Map<string, Buffer>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, identity, key] = PSK_LINE.exec(line) ?? [];
    if (identity === undefined || key === undefined) {
      throw new StrataError(
        'invalid_configuration',
        `Line ${index + 1} of keys.psk is not "identity:hexadecimal key" with a key of 16 to 64 bytes.`,
        { field: 'STRATA_PUSH_TLS_DIR' },
      );
    }
    keys.set(identity, Buffer.from(key, 'hex'));
  }
  if (keys.size > 0) return keys;
  throw new StrataError('invalid_configuration', 'keys.psk has no key.', { field: 'STRATA_PUSH_TLS_DIR' });
}

/**
 * Encrypts an accepted connection. With certificates the client must show one of the same authority; whoever may connect
 * is decided here, and what he may do by the export's name.
 * @throws nbd_connection_lost when the handshake fails; the connection is of no use then
 */
export async function encryptAccepted(socket: Socket, credentials: GateCredentials): Promise<TLSSocket> {
  // A server of its own for each connection: it checks the client's certificate, which a bare TLSSocket does not.
  const server = createServer({
    ...tlsOptions(credentials),
    minVersion: 'TLSv1.2',
    handshakeTimeout: HANDSHAKE_MS,
  });
  return new Promise((resolve, reject) => {
    const fail = (cause?: unknown) => reject(connectionEnded('The TLS handshake failed.', cause));
    server.once('secureConnection', resolve);
    server.once('tlsClientError', fail);
    socket.once('close', () => fail());
    server.emit('connection', socket);
  });
}

function tlsOptions(credentials: GateCredentials): TlsOptions {
  if (credentials.kind === 'x509') {
    const { ca, cert, key } = credentials;
    return { ca, cert, key, requestCert: true, rejectUnauthorized: true };
  }
  return {
    ciphers: PSK_CIPHERS,
    pskCallback: (_socket, identity) => credentials.keys.get(identity) ?? null,
  };
}
