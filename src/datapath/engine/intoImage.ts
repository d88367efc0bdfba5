import { open } from 'node:fs/promises';
import { type ImageFormat, serveImage } from '../../qcow2/index.js';
import { isStrataError, StrataError } from '../../shared/errors.js';
import { connectNbd, type NbdClient } from '../nbd/index.js';
import { socketIn } from '../sources/index.js';

/** qemu-nbd works on 16 requests of a client at once (MAX_NBD_REQUESTS in its nbd/server.c). */
const MAX_IN_FLIGHT = 16;

export interface ImageTarget {
  /** Absolute path of an existing image or block device. */
  image: string;
  /** `qcow2` by default. */
  format?: ImageFormat;
  /** `none`, direct I/O, by default: what a repository's file system can do, another may not. */
  cache?: 'none' | 'writeback';
  /** Bytes that will be written; a block device may be larger. */
  virtualSizeBytes: number;
  scratchDir: string;
  signal: AbortSignal;
}

/**
 * Lets `write` fill an image through `qemu-nbd`. When it returns, everything is on stable storage and the server has
 * ended cleanly; when it throws, nothing is left running.
 * @throws what `write` throws, no_space, tool_failed if the server does not end cleanly
 */
export async function intoImage<T>(
  { image, format = 'qcow2', cache = 'none', virtualSizeBytes, scratchDir, signal }: ImageTarget,
  write: (client: NbdClient) => Promise<T>,
): Promise<T> {
  const server = await serveImage(
    {
      path: image,
      format,
      readOnly: false,
      socketPath: socketIn(scratchDir),
      cache,
      shared: 1,
    },
    { signal },
  );
  try {
    const client = await connectImage(server.uri, signal);
    try {
      if (client.sizeBytes < virtualSizeBytes) throw wrongSize(client.sizeBytes, virtualSizeBytes);
      const result = await write(client);
      await client.flush();
      await client.close();
      await server.close();
      await syncFile(image);
      return result;
    } catch (error) {
      client.destroy(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  } catch (error) {
    // The error that is under way matters more than how the server of a failed copy ends.
    await Promise.allSettled([server.close()]);
    throw error;
  }
}

/** A client whose failures are told as those of the image that is written: they must not be taken for trouble of the source. */
async function connectImage(uri: string, signal: AbortSignal): Promise<NbdClient> {
  const own = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw imageError(error);
    }
  };
  const client = await own(connectNbd(uri, { signal, maxInFlight: MAX_IN_FLIGHT }));
  return {
    ...client,
    write: (...args) => own(client.write(...args)),
    writeZeroes: (...args) => own(client.writeZeroes(...args)),
    flush: (...args) => own(client.flush(...args)),
  };
}

/** qemu-nbd answers a read-only file system with EPERM, which the client takes for a refusal. */
function imageError(error: unknown): unknown {
  if (!isStrataError(error, 'nbd_connection_lost', 'nbd_io_error', 'nbd_refused')) return error;
  return new StrataError('tool_failed', `qemu-nbd could not write the image: ${error.message}`, {
    cause: error,
    details: { ...error.details, writing: true },
  });
}

/** Flushes a file to stable storage. */
export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

function wrongSize(actual: number, expected: number): StrataError {
  return new StrataError(
    'internal',
    `The image to be written has ${actual} bytes; it should have ${expected}.`,
  );
}
