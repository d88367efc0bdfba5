import { StrataError } from '../../shared/errors.js';
import type { NbdAddress } from '../nbd/index.js';
import { parseNbdUri } from '../nbd/index.js';
import { isUnder } from '../../shared/files.js';

const DEFAULT_PORT = 10809;
const HOST_PATTERN = /^(\*|(?:\*\.)?[A-Za-z0-9_-][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?$/;

/**
 * Whether an NBD server may be read. An entry of `allow` is one of:
 * - `host` or `host:port`: that host by TCP, with or without TLS; any port when none is given. `*` is every host, and
 *   `*.example.com` every host below that domain. Names are compared as they are written and never looked up.
 * - a URI such as `nbds://host:port/prefix`: the same scheme, host and port (10809 when none is given), and an export name that
 *   begins with `prefix`. It is compared part by part, so `nbd://backup` does not allow `nbd://backup.evil.example`.
 * - an absolute path: that unix socket, or every socket below that directory.
 * @param realSocketPath of a unix socket: its path with all symbolic links resolved
 * @throws invalid_configuration for an entry that is none of these
 */
export function isNbdAllowed(
  address: NbdAddress,
  allow: readonly string[],
  realSocketPath?: string,
): boolean {
  return allow.some((entry) => {
    if (entry.startsWith('/')) return realSocketPath !== undefined && isUnder(realSocketPath, entry);
    if (address.kind === 'unix') return false;
    return entry.includes('://') ? matchesUri(address, entry) : matchesHost(address, entry);
  });
}

type TcpAddress = Extract<NbdAddress, { kind: 'tcp' }>;

function matchesUri(address: TcpAddress, entry: string): boolean {
  const allowed = parseEntry(entry);
  return (
    allowed.kind === 'tcp' &&
    allowed.tls === address.tls &&
    sameHost(allowed.host, address.host) &&
    allowed.port === address.port &&
    address.exportName.startsWith(allowed.exportName)
  );
}

function matchesHost(address: TcpAddress, entry: string): boolean {
  const [, host, port] = HOST_PATTERN.exec(entry) ?? [];
  if (host === undefined) throw invalidEntry(entry);
  if (port !== undefined && Number(port) !== address.port) return false;
  if (host === '*') return true;
  if (host.startsWith('*.')) return address.host.toLowerCase().endsWith(host.slice(1).toLowerCase());
  return sameHost(host.replace(/^\[(.*)\]$/, '$1'), address.host);
}

function sameHost(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function parseEntry(entry: string): NbdAddress {
  try {
    return parseNbdUri(entry);
  } catch (error) {
    throw invalidEntry(entry, error);
  }
}

function invalidEntry(entry: string, cause?: unknown): StrataError {
  return new StrataError(
    'invalid_configuration',
    `"${entry}" is no NBD address: give host, host:port (default ${DEFAULT_PORT}), an nbd or nbds URI, or a socket's path.`,
    { field: 'STRATA_NBD_ALLOW', ...(cause === undefined ? {} : { cause }) },
  );
}
