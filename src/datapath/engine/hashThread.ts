// The entry of a hashing thread. Digesting gigabytes on the main thread would keep it from renewing leases.
import { parentPort } from 'node:worker_threads';
import { alignedBuffers } from './alignedBuffers.js';
import { BATCH_BYTES, type Batch, hashBatch } from './hashBatch.js';

export interface HashRequest {
  id: number;
  batch: Batch;
}

export type HashReply =
  | { id: number; digests: Uint8Array; zero: Uint8Array }
  | { id: number; failed: { message: string; code: string | undefined } };

const port = parentPort;
const buffers = alignedBuffers(BATCH_BYTES);

async function answer({ id, batch }: HashRequest): Promise<HashReply> {
  const buffer = buffers.take();
  try {
    const { digests, zero } = await hashBatch(batch, buffer);
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

port?.on('message', (request: HashRequest) => {
  void answer(request).then((reply) => port.postMessage(reply));
});
