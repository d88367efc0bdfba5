// The entry of a hashing thread. Digesting gigabytes on the main thread would keep it from renewing leases.
import { readlinkSync, readSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { alignedBuffers } from '../../shared/alignedBuffers.js';
import { BATCH_BYTES, type Batch, hashBatch, type ReadFile } from './hashBatch.js';

/** What a thread is started with. */
export interface HashThreadData {
  /** It yields to everything else: it reads by itself and not on the threads that all of Node.js shares. */
  idle: boolean;
}

/** The first message of an idle thread: its id for the kernel. */
export interface ThreadStarted {
  threadId: number;
}

export interface HashRequest {
  id: number;
  batch: Batch;
}

export type HashReply =
  | { id: number; digests: Uint8Array; zero: Uint8Array }
  | { id: number; failed: { message: string; code: string | undefined } };

const port = parentPort;
const buffers = alignedBuffers(BATCH_BYTES);
const { idle } = workerData as HashThreadData;
const readFile: ReadFile | undefined = idle ? readSync : undefined;

async function answer({ id, batch }: HashRequest): Promise<HashReply> {
  const buffer = buffers.take();
  try {
    const { digests, zero } = await hashBatch(batch, buffer, readFile);
    return { id, digests, zero };
  } catch (error) {
    // An Error loses its `code` on the way to another thread.
    const message = error instanceof Error ? error.message : String(error);
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
    return { id, failed: { message, code } };
  } finally {
    buffers.give(buffer);
  }
}

if (idle) {
  // Of the thread that asks, and of no other of the process.
  setPriority(constants.priority.PRIORITY_LOW);
  const threadId = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
  port?.postMessage({ threadId } satisfies ThreadStarted);
}
port?.on('message', (request: HashRequest) => {
  void answer(request).then((reply) => port.postMessage(reply));
});
