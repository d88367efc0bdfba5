import { DEADLINES, type NbdServer, serveImage } from '../../qcow2/index.js';
import { BLOCK_SIZE } from '../../shared/extents.js';
import { asStrataError } from '../../shared/errors.js';
import { syncFile } from '../engine/intoImage.js';
import { connectNbd, type NbdClient } from '../nbd/index.js';
import { type Gate, HANDSHAKES, type Traffic } from './gate.js';

export interface PushImage {
  /** Absolute path of an existing QCOW2 file that nobody else writes. */
  image: string;
  virtualSizeBytes: number;
  /** Size of the disk in the backing file, in bytes; undefined for an image without one. */
  parentSizeBytes: number | undefined;
  /** The gate's, where the server is to listen. */
  serverSocket: string;
  connections: number;
  signal: AbortSignal;
}

/** An image that agents are writing. */
export interface PushExport {
  traffic: () => Traffic;
  /** Rejects when the server dies unasked; never resolves before `finish` or `abandon`. */
  died: Promise<void>;
  /**
   * Lets nobody in any more, flushes, ends the server cleanly, and flushes the file: then what agents have written is on
   * stable storage. False, and the export goes on, while somebody is inside.
   * @throws no_space, nbd_io_error, nbd_connection_lost, tool_failed, tool_timeout: then it may not be there
   */
  finish(): Promise<boolean>;
  /** Ends it whatever becomes of the content. Never rejects; may be called again, and after `finish`. */
  abandon(): Promise<void>;
}

/**
 * Lets agents write an image through a gate. The server behind it listens on a private socket and takes a connection of
 * ours, so that the last flush tells its errors: qemu-nbd itself says nothing of what fails while it closes an image.
 * Direct I/O, as for all overlays: the last flush is short. Trims and zeros become zero clusters: they take no room.
 * @throws what serveImage and connectNbd throw; the gate stays open then and is the caller's to close
 */
export async function openPushExport(gate: Gate, image: PushImage): Promise<PushExport> {
  const own = new AbortController();
  const signal = AbortSignal.any([image.signal, own.signal]);
  const server = await serveImage(
    {
      path: image.image,
      format: 'qcow2',
      readOnly: false,
      socketPath: image.serverSocket,
      cache: 'none',
      discard: true,
      detectZeroes: 'unmap',
      shared: image.connections + HANDSHAKES + 1,
    },
    { signal },
  );
  const abandon = async () => {
    own.abort();
    await Promise.allSettled([gate.close(), server.exited]);
  };
  try {
    const client = await connectNbd(server.uri, { signal, requestTimeoutMs: DEADLINES.serveClose });
    await keepCutBlock(client, image);
    return {
      traffic: gate.traffic,
      died: server.exited,
      finish: () => finish(gate, client, server, image),
      abandon,
    };
  } catch (error) {
    own.abort(asStrataError(error));
    await Promise.allSettled([server.exited]);
    throw error;
  }
}

async function finish(
  gate: Gate,
  client: NbdClient,
  server: NbdServer,
  { image }: PushImage,
): Promise<boolean> {
  if (!gate.shutIfEmpty()) return false;
  await client.flush();
  await client.close();
  await server.close();
  await gate.close();
  await syncFile(image);
  return true;
}

/**
 * On a grown disk, brings the block in which the old disk ended into the new image: the digest of that block is of its
 * first part only, so that no index would know what it reads as now.
 */
async function keepCutBlock(client: NbdClient, image: PushImage): Promise<void> {
  const { parentSizeBytes, virtualSizeBytes } = image;
  if (parentSizeBytes === undefined || virtualSizeBytes <= parentSizeBytes) return;
  const offset = parentSizeBytes - (parentSizeBytes % BLOCK_SIZE);
  if (offset === parentSizeBytes) return;
  const length = Math.min(BLOCK_SIZE, virtualSizeBytes - offset);
  await client.write(offset, await client.read(offset, length));
}
