import type { ErrorCode } from '../../shared/errorCodes.js';
import { isStrataError, StrataError } from '../../shared/errors.js';
import { NBD_ERRNO, OPTION_ERROR } from './constants.js';

/** What a server said when it refused a request: the errno of the protocol, and its text if it sent one. */
export interface ServerFailure {
  errno: number;
  message: string;
  /** Byte of the export at which it happened, where the server told. */
  offset?: number;
}

/** A server that breaks the protocol; the connection cannot be used any more. */
export function protocolError(message: string, details: Record<string, unknown> = {}): StrataError {
  return new StrataError('nbd_protocol_error', message, { details });
}

/** We gave the connection up: it is silent, or was closed by its owner. */
export function connectionLost(message: string): StrataError {
  return new StrataError('nbd_connection_lost', message);
}

/** The other side, or the network, ended the connection. */
export function connectionEnded(message: string, cause?: unknown): StrataError {
  const details = { endedByPeer: true };
  return new StrataError(
    'nbd_connection_lost',
    message,
    cause === undefined ? { details } : { details, cause },
  );
}

/** True for a connection that the other side ended, and not we. */
export function isEndedByPeer(error: unknown): boolean {
  return isStrataError(error, 'nbd_connection_lost') && error.details.endedByPeer === true;
}

/** The StrataError for a request that the server answered with an error number. */
export function requestFailed(what: string, failure: ServerFailure): StrataError {
  const name = errnoName(failure.errno);
  const text = failure.message === '' ? name : `${name}: ${failure.message}`;
  return new StrataError(codeOfErrno(failure.errno), `The NBD server failed ${what}: ${text}.`, {
    details: { errno: name, ...(failure.offset === undefined ? {} : { offset: failure.offset }) },
  });
}

/** The StrataError for an option that the server refused during the handshake. */
export function optionRefused(what: string, type: number, message: string): StrataError {
  const name = optionErrorName(type);
  const text = message === '' ? name : `${name}: ${message}`;
  const code = type === OPTION_ERROR.shutdown ? 'nbd_connection_lost' : 'nbd_refused';
  return new StrataError(code, `The NBD server refused ${what}: ${text}.`, { details: { reply: name } });
}

/** A server's text for a message of ours: valid UTF-8, no control characters, at most 500 characters. */
export function serverText(bytes: Buffer): string {
  return bytes
    .toString('utf8')
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, 500);
}

function codeOfErrno(errno: number): ErrorCode {
  switch (errno) {
    case NBD_ERRNO.ENOSPC:
      return 'no_space';
    // Bounds are checked before sending, so that this is a limit that only the server knows (alignment, a disk that shrank).
    case NBD_ERRNO.EINVAL:
      return 'nbd_out_of_bounds';
    case NBD_ERRNO.EPERM:
    case NBD_ERRNO.ENOTSUP:
    case NBD_ERRNO.EOVERFLOW:
      return 'nbd_refused';
    case NBD_ERRNO.ESHUTDOWN:
      return 'nbd_connection_lost';
    default:
      return 'nbd_io_error';
  }
}

function errnoName(errno: number): string {
  for (const [name, value] of Object.entries(NBD_ERRNO)) if (value === errno) return name;
  return `errno ${errno}`;
}

function optionErrorName(type: number): string {
  for (const [name, value] of Object.entries(OPTION_ERROR)) if (value === type) return name;
  return `reply type 0x${type.toString(16)}`;
}
