import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { StrataError } from '../../shared/errors.js';
import type { BlockDigests } from '../digests/block.js';
import { type AlignedBuffers, alignedBuffers } from './alignedBuffers.js';
import { BATCH_BYTES, type Batch, hashBatch } from './hashBatch.js';
import type { HashReply, HashRequest } from './hashThread.js';

/** Two threads saturate a disk of 1.2 GB/s; more would take cores from the QEMU tools. */
const MAX_THREADS = 2;
const BATCHES_PER_THREAD = 4;
/** Small images are not worth the 40 ms that a thread takes to start: these batches are digested on the main thread. */
const INLINE_BATCHES = 16;

/** Digests batches of blocks on threads. */
export interface HashPool {
  /** How many batches are worth running at once. */
  readonly parallel: number;
  hash(batch: Batch): Promise<BlockDigests>;
  /** Ends the threads; whatever is still running rejects. */
  close(): Promise<void>;
}

/** @param readError what a failure to read a batch means; it is given a system error with its `code` */
export function createHashPool(readError: (error: unknown) => Error): HashPool {
  const threads = Math.min(MAX_THREADS, availableParallelism());
  const started: HashThread[] = [];
  const buffers = alignedBuffers(BATCH_BYTES);
  let count = 0;
  return {
    parallel: threads * BATCHES_PER_THREAD,
    hash(batch) {
      const number = count++;
      if (number < INLINE_BATCHES) return hashInline(batch, buffers, readError);
      if (started.length < threads) started.push(startThread(readError));
      const idlest = started.reduce((a, b) => (b.busy() < a.busy() ? b : a));
      return idlest.hash(batch);
    },
    async close() {
      await Promise.all(started.map((thread) => thread.close()));
    },
  };
}

async function hashInline(
  batch: Batch,
  buffers: AlignedBuffers,
  readError: (error: unknown) => Error,
): Promise<BlockDigests> {
  const buffer = buffers.take();
  try {
    return await hashBatch(batch, buffer);
  } catch (error) {
    throw readError(error);
  } finally {
    buffers.give(buffer);
  }
}

interface HashThread {
  busy(): number;
  hash(batch: Batch): Promise<BlockDigests>;
  close(): Promise<void>;
}

function startThread(readError: (error: unknown) => Error): HashThread {
  const worker = new Worker(new URL('./hashThread.js', import.meta.url));
  const waiting = new Map<
    number,
    { resolve: (digests: BlockDigests) => void; reject: (error: Error) => void }
  >();
  let id = 0;
  let ended: Error | undefined;
  const end = (reason: Error) => {
    ended ??= reason;
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  };
  worker.on('message', (reply: HashReply) => {
    const waiter = waiting.get(reply.id);
    waiting.delete(reply.id);
    if ('failed' in reply) waiter?.reject(readError(systemError(reply.failed)));
    else waiter?.resolve({ digests: Buffer.from(reply.digests.buffer), zero: reply.zero });
  });
  worker.on('error', (error) =>
    end(new StrataError('internal', 'A hashing thread failed.', { cause: error })),
  );
  worker.on('exit', () => end(new StrataError('cancelled', 'The hashing threads were stopped.')));
  return {
    busy: () => waiting.size,
    hash: (batch) =>
      new Promise((resolve, reject) => {
        if (ended) return reject(ended);
        waiting.set(++id, { resolve, reject });
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is not a window
        return worker.postMessage({ id, batch } satisfies HashRequest);
      }),
    close: async () => {
      await worker.terminate();
    },
  };
}

function systemError({ message, code }: { message: string; code: string | undefined }): Error {
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}
