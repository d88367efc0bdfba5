import { StrataError, isStrataError } from '../../shared/errors.js';
import { sourceReadError } from '../../shared/sourceReadError.js';
import { nbdUnixUri } from '../../qcow2/index.js';
import {
  BASE_ALLOCATION,
  DIRTY_BITMAP_PREFIX,
  type NbdAddress,
  type NbdConnectOptions,
  type NbdTlsOptions,
  parseNbdUri,
  REQUEST_TIMEOUT_MS,
} from '../nbd/index.js';
import { untilAborted } from '../untilAborted.js';
import { checkSize, withField } from './checks.js';
import { allocatedRanges, dirtyRanges, rangeStatus } from './exportStatus.js';
import { isNbdAllowed } from './nbdAllow.js';
import { type NbdReaders, nbdReaders } from './nbdReaders.js';
import { allowedRealPath } from './paths.js';
import type { OpenSource, SourcePolicy, SourceSpec } from './types.js';

const FIELD = 'source.uri';
const BITMAP_FIELD = 'source.bitmap';

/**
 * Connects to an allowed NBD export to learn its size.
 * @throws invalid_request, nbd_not_allowed, size_not_aligned, and as connectNbd
 */
export async function openNbdSource(
  spec: Extract<SourceSpec, { type: 'nbd' }>,
  policy: SourcePolicy,
  signal: AbortSignal | undefined,
): Promise<OpenSource> {
  const address = parseAddress(spec.uri);
  const uri = await allowedUri(address, spec.uri, policy);
  return connectSource({
    uri,
    ...(spec.bitmap === undefined ? {} : { bitmap: spec.bitmap }),
    ...(policy.nbdTls ? { tls: policy.nbdTls } : {}),
    ...(policy.nbdTimeoutMs === undefined ? {} : { timeoutMs: policy.nbdTimeoutMs }),
    ...(signal ? { signal } : {}),
  });
}

export interface ConnectSource {
  uri: string;
  bitmap?: string;
  tls?: NbdTlsOptions;
  /** Milliseconds of silence; default REQUEST_TIMEOUT_MS. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** A source of an export that needs no leave. Allocation and reads share a connection: many servers take one client only. */
export async function connectSource(connect: ConnectSource): Promise<OpenSource> {
  const { uri, bitmap, tls, timeoutMs = REQUEST_TIMEOUT_MS, signal } = connect;
  const address = parseNbdUri(uri);
  const options: NbdConnectOptions = {
    requestTimeoutMs: timeoutMs,
    metaContexts: [BASE_ALLOCATION, ...(bitmap === undefined ? [] : [DIRTY_BITMAP_PREFIX + bitmap])],
    ...(tls ? { tls } : {}),
    ...(signal ? { signal } : {}),
  };
  const connections = nbdReaders(() => Promise.resolve(uri), options, address.kind === 'tcp');
  try {
    const { sizeBytes, metaContexts } = await connections.client();
    return {
      sizeBytes: checkSize(sizeBytes, FIELD),
      imageRef: { type: 'nbd', uri },
      toolRef: () => Promise.resolve({ type: 'nbd', uri }),
      nativeOnly: true,
      bitmapMissing: bitmap !== undefined && !metaContexts.includes(DIRTY_BITMAP_PREFIX + bitmap),
      readError: sourceReadError,
      ...exportReads(connections),
      // What a server shows is its own to keep still.
      assertUnchanged: () => Promise.resolve(),
      release: () => connections.close(),
      close: () => connections.close(),
    };
  } catch (error) {
    await connections.close();
    throw error;
  }
}

function exportReads(
  connections: NbdReaders,
): Pick<OpenSource, 'connect' | 'status' | 'allocated' | 'changed'> {
  return {
    connect: () => connections.readers(),
    async *status(range) {
      yield* rangeStatus(await connections.client(), range);
    },
    async *allocated() {
      yield* allocatedRanges(await connections.client());
    },
    async *changed(bitmap, { signal } = {}) {
      yield* untilAborted(dirtyRanges(await connections.client(), bitmap, BITMAP_FIELD), signal);
    },
  };
}

function parseAddress(uri: string): NbdAddress {
  try {
    return parseNbdUri(uri);
  } catch (error) {
    throw isStrataError(error) ? withField(error, FIELD) : error;
  }
}

/** The URI to connect to: that of a socket names the file that was checked, not a link that may change. */
async function allowedUri(address: NbdAddress, uri: string, policy: SourcePolicy): Promise<string> {
  if (address.kind === 'tcp') {
    if (isNbdAllowed(address, policy.nbdAllow)) return uri;
    throw notAllowed();
  }
  const roots = [...policy.roots, ...policy.nbdAllow.filter((entry) => entry.startsWith('/'))];
  const socket = await socketPath(address.socketPath, roots);
  const plain = nbdUnixUri(socket, address.exportName);
  return address.tls ? plain.replace(/^nbd\+/, 'nbds+') : plain;
}

async function socketPath(path: string, roots: readonly string[]): Promise<string> {
  try {
    return await allowedRealPath(path, roots, FIELD);
  } catch (error) {
    if (isStrataError(error, 'path_not_allowed')) throw notAllowed(error);
    throw error;
  }
}

function notAllowed(cause?: unknown): StrataError {
  return new StrataError('nbd_not_allowed', 'The NBD address is not one that STRATA_NBD_ALLOW lists.', {
    field: FIELD,
    ...(cause === undefined ? {} : { cause }),
  });
}
