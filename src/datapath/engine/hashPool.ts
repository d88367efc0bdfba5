import { availableParallelism } from 'node:os';
import type { BlockDigests } from '../digests/block.js';
import { type AlignedBuffers, alignedBuffers } from '../../shared/alignedBuffers.js';
import { BATCH_BYTES, type Batch, hashBatch } from './hashBatch.js';
import { type HashThread, startHashThread } from './startHashThread.js';

/** Two threads saturate a disk of 1.2 GB/s; more would take cores from the QEMU tools. */
const MAX_THREADS = 2;
const BATCHES_PER_THREAD = 4;
/** An idle thread waits for each of its reads: four of them keep a disk busy, and yield the cores. */
const IDLE_THREADS = 4;
const BATCHES_PER_IDLE_THREAD = 2;
/**
 * Small images are not worth the 40 ms of processor that a thread takes to start: these batches (64 MiB) are digested on the
 * main thread, a quarter of a millisecond each.
 */
export const INLINE_BATCHES = 128;

/** Digests batches of blocks on threads. */
export interface HashPool {
  /** How many batches are worth running at once. */
  readonly parallel: number;
  /** It yields to everything else, and so should the tools that serve it. */
  readonly idle: boolean;
  hash(batch: Batch): Promise<BlockDigests>;
  /** Ends the threads; whatever is still running rejects. */
  close(): Promise<void>;
}

export interface HashPoolOptions {
  /** What a failure to read a batch means; it is given a system error with its `code`. By default just that. */
  readError?: (error: unknown) => Error;
  /** The threads run with the lowest priority, for the disk too; nothing is digested on the main thread. */
  idle?: boolean;
}

/** The caller closes it. */
export function createHashPool({ readError = asItIs, idle = false }: HashPoolOptions = {}): HashPool {
  const threads = idle ? IDLE_THREADS : Math.min(MAX_THREADS, availableParallelism());
  const started: HashThread[] = [];
  const buffers = alignedBuffers(BATCH_BYTES);
  const perThread = idle ? BATCHES_PER_IDLE_THREAD : BATCHES_PER_THREAD;
  let count = 0;
  const threadForNext = (): HashThread => {
    const [freest] = started.toSorted((a, b) => a.busy() - b.busy());
    // On a busy machine an idle thread is slow to start: a few batches are not worth another.
    const wanted = !idle || freest === undefined || freest.busy() >= perThread;
    if (freest && (started.length === threads || !wanted)) return freest;
    const thread = startHashThread({ readError, idle });
    started.push(thread);
    return thread;
  };
  return {
    idle,
    parallel: threads * perThread,
    hash(batch) {
      const number = count++;
      if (!idle && number < INLINE_BATCHES) return hashInline(batch, buffers, readError);
      return threadForNext().hash(batch);
    },
    async close() {
      await Promise.all(started.map((thread) => thread.close()));
    },
  };
}

function asItIs(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
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
