import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { makeThreadIdle } from '../../qcow2/index.js';
import { StrataError } from '../../shared/errors.js';
import type { BlockDigests } from '../digests/block.js';
import type { Batch } from './hashBatch.js';
import type { HashReply, HashRequest, HashThreadData, ThreadStarted } from './hashThread.js';

export interface HashThread {
  /** Batches that it has and has not digested. */
  busy(): number;
  hash(batch: Batch): Promise<BlockDigests>;
  /** Ends it; whatever is still running rejects. */
  close(): Promise<void>;
}

/** Starts a thread that digests batches; an idle one gets its first when it yields to everything else. */
export function startHashThread(options: {
  readError: (error: unknown) => Error;
  idle: boolean;
}): HashThread {
  const { idle, readError } = options;
  const worker = new Worker(new URL('./hashThread.js', import.meta.url), {
    workerData: { idle } satisfies HashThreadData,
  });
  const post = postbox(worker, readError);
  const ready = idle ? lowerPriority(worker) : undefined;
  let busy = 0;
  return {
    busy: () => busy,
    hash: async (batch) => {
      busy++;
      try {
        if (ready) await ready;
        return await post(batch);
      } finally {
        busy--;
      }
    },
    close: async () => {
      await Promise.allSettled([ready]);
      await worker.terminate();
    },
  };
}

/** Sends batches to the thread, and brings each caller its own answer. */
function postbox(
  worker: Worker,
  readError: (error: unknown) => Error,
): (batch: Batch) => Promise<BlockDigests> {
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
  worker.on('message', (reply: HashReply | ThreadStarted) => {
    if ('threadId' in reply) return;
    const waiter = waiting.get(reply.id);
    waiting.delete(reply.id);
    if ('failed' in reply) waiter?.reject(readError(systemError(reply.failed)));
    else waiter?.resolve({ digests: Buffer.from(reply.digests.buffer), zero: reply.zero });
  });
  worker.on('error', (error) =>
    end(new StrataError('internal', 'A hashing thread failed.', { cause: error })),
  );
  worker.on('exit', () => end(new StrataError('cancelled', 'The hashing threads were stopped.')));
  return (batch) =>
    new Promise((resolve, reject) => {
      if (ended) return reject(ended);
      waiting.set(++id, { resolve, reject });
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is not a window
      return worker.postMessage({ id, batch } satisfies HashRequest);
    });
}

/** Resolves when the thread, and its reads, yield to everything else. */
async function lowerPriority(worker: Worker): Promise<void> {
  const [{ threadId }] = (await once(worker, 'message')) as [ThreadStarted];
  await makeThreadIdle(threadId);
}

function systemError({ message, code }: { message: string; code: string | undefined }): Error {
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}
