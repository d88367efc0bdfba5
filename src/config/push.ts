import { hostname } from 'node:os';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import type { PushSettings } from '../shared/pushSettings.js';
import type { Reader } from './reader.js';

const TLS = ['none', 'psk', 'x509'] as const;
const WILDCARDS = ['0.0.0.0', '::'];

/** Reads the variables of push mode. Beyond loopback, doing without TLS has to be said: the export's name is no secret there. */
export function readPush(read: Reader, dataDir: string): PushSettings {
  const address = read.text('STRATA_PUSH_ADDRESS', '127.0.0.1');
  if (isIP(address) === 0)
    read.complain('STRATA_PUSH_ADDRESS', 'is an IP address, such as 127.0.0.1 or 0.0.0.0');
  const socketDir = read.paths('STRATA_PUSH_SOCKET_DIR', [])[0];
  const unsaid = read.text('STRATA_PUSH_TLS', '') === '';
  if (unsaid && socketDir === undefined && !isLoopback(address)) {
    read.complain(
      'STRATA_PUSH_TLS',
      'is psk or x509 where STRATA_PUSH_ADDRESS is not loopback, or none for a trusted network',
    );
  }
  return {
    address,
    host: read.text('STRATA_PUSH_HOST', WILDCARDS.includes(address) ? hostname() : address),
    ports: read.portRange('STRATA_PUSH_PORTS', { first: 10_810, last: 10_899 }),
    socketDir,
    tls: read.oneOf('STRATA_PUSH_TLS', TLS, 'none'),
    tlsDir: read.paths('STRATA_PUSH_TLS_DIR', [resolve(dataDir, 'push-tls')])[0] ?? '',
    connections: read.integer('STRATA_PUSH_CONNECTIONS', 16, 1, 256),
    silenceMs: read.integer('STRATA_PUSH_SILENCE_MS', 600_000, 1_000, 86_400_000),
  };
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address);
}
