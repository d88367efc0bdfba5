import type { Extent } from '../../shared/extents.js';

/** What the export can do, from its transmission flags. */
export interface NbdExportFlags {
  readOnly: boolean;
  canFlush: boolean;
  canFua: boolean;
  canTrim: boolean;
  canWriteZeroes: boolean;
  canFastZero: boolean;
  /** Several connections see each other's flushed writes: data may be spread over them. */
  canMultiConn: boolean;
  canDf: boolean;
  rotational: boolean;
}

/** Limits for requests, in bytes. Offsets and lengths must be multiples of `minimum`, but for the end of the export. */
export interface NbdBlockLimits {
  minimum: number;
  preferred: number;
  /** Most bytes of data in one request: the server's limit, and at most 32 MiB. */
  maximum: number;
}

/** What the handshake found out about an export. */
export interface NbdExportInfo {
  sizeBytes: number;
  flags: NbdExportFlags;
  block: NbdBlockLimits;
}

/** A range of the export and its flags in a meta context; see ALLOCATION and DIRTY_BITMAP. */
export interface BlockStatus extends Extent {
  flags: number;
}

/** Secrets and trust for `nbds` URIs. Given by configuration, never by the URI. */
export interface NbdTlsOptions {
  /** PEM certificates to trust instead of the system's. */
  ca?: string | Buffer;
  /** PEM certificate and key of this client. */
  cert?: string | Buffer;
  key?: string | Buffer;
  /** Name that the server's certificate must carry; the URI's host, or `localhost` on a unix socket, if not given. */
  servername?: string;
  /** Pre-shared key instead of certificates; the identity is the URI's user if not given. */
  psk?: { identity?: string; key: Buffer };
}

export interface NbdConnectOptions {
  /** Destroys the connection, at any time; every outstanding request rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Milliseconds for connecting, TLS and the handshake together. Default 10,000. */
  connectTimeoutMs?: number;
  /**
   * Milliseconds without progress while requests wait, before the connection is given up: no answer is finished, and fewer
   * than 512 bytes a second move (progressRule.ts). Default 30,000. One single request may take ten times as long if others
   * make progress.
   */
  requestTimeoutMs?: number;
  /** Meta contexts to ask for, by full name, such as `base:allocation`; `NbdClient.metaContexts` tells which were granted. */
  metaContexts?: readonly string[];
  tls?: NbdTlsOptions;
  /** Requests sent and not yet answered; others queue. 1 to 1024, default 16. */
  maxInFlight?: number;
}

/** Checked before each request is sent: a request that was sent cannot be taken back without ending the connection. */
export interface NbdRequestOptions {
  signal?: AbortSignal;
}

/**
 * One connection to an export. All offsets and lengths are bytes. Every method rejects with
 * nbd_out_of_bounds for a range outside the export or not aligned to `block.minimum`; nbd_refused for what the
 * export cannot do; nbd_io_error, no_space, nbd_refused or nbd_out_of_bounds as the server answers;
 * nbd_connection_lost when the connection is closed or silent; nbd_protocol_error when the server breaks the protocol; or the
 * reason of the signal or of `destroy`. After the last four, nothing works any more.
 */
export interface NbdClient {
  readonly sizeBytes: number;
  readonly flags: NbdExportFlags;
  readonly block: NbdBlockLimits;
  /** Those meta contexts asked for that the server granted. */
  readonly metaContexts: readonly string[];
  /** Reads into a new buffer. Split to `block.maximum`. */
  read(offset: number, length: number, options?: NbdRequestOptions): Promise<Buffer>;
  /** Fills `target` from `offset`. After a rejection its content is undefined, and nothing writes into it any more. */
  readInto(offset: number, target: Buffer, options?: NbdRequestOptions): Promise<void>;
  /** Writes `data`, which must not be changed before the promise settles. `fua`: on stable storage before it resolves. */
  write(offset: number, data: Buffer, options?: NbdRequestOptions & { fua?: boolean }): Promise<void>;
  /**
   * Zeroes a range of any length. `noHole`: keep it allocated. `fast`: fail with nbd_refused rather than be slow.
   * A server without the command gets zeros written.
   */
  writeZeroes(
    offset: number,
    length: number,
    options?: NbdRequestOptions & { noHole?: boolean; fast?: boolean },
  ): Promise<void>;
  /** Tells the server that the content is no longer needed; what reads back is undefined. */
  trim(offset: number, length: number, options?: NbdRequestOptions): Promise<void>;
  /**
   * Everything written before is on stable storage when it resolves. A server without the command (`flags.canFlush`) has
   * no cache to flush as far as the protocol tells, and nothing is sent.
   */
  flush(options?: NbdRequestOptions): Promise<void>;
  /**
   * Status of the start of the range in one of `metaContexts`: at least one entry for a range that is not empty, contiguous from `offset`, never
   * beyond the range, neighbours of equal flags merged. May cover less than asked.
   * @throws bitmap_missing for a dirty bitmap that was not granted, nbd_refused for another context
   */
  blockStatus(
    offset: number,
    length: number,
    context: string,
    options?: NbdRequestOptions,
  ): Promise<BlockStatus[]>;
  /**
   * Status of the whole export, or of the range in `options`, in order, without gaps, neighbours of equal flags merged. Memory is bounded; a few
   * requests are kept ahead.
   */
  statusExtents(context: string, options?: StatusExtentsOptions): AsyncIterable<BlockStatus>;
  /** Waits for outstanding requests, sends NBD_CMD_DISC and closes. Never rejects; new requests are refused. */
  close(): Promise<void>;
  /**
   * Closes as soon as the server has answered what is under way, and after a second at the latest. What was not sent yet,
   * and all that is asked from now on, rejects with `reason`. Never rejects. (nbdkit 1.32 ends by an assertion, with all
   * its clients, where a connection is cut that has requests under way: raw_send_socket in server/connections.c.)
   */
  leave(reason: Error): Promise<void>;
  /** Closes at once; every outstanding request rejects with `reason`. */
  destroy(reason: Error): void;
}

export interface StatusExtentsOptions extends NbdRequestOptions {
  /** First byte; default 0. */
  offset?: number;
  /** Default: to the end of the export. */
  length?: number;
}
