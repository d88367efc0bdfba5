import { connectRedis } from '../../queue/connection.js';
import { createQueueSet } from '../../queue/deliver.js';
import { systemClock } from '../../shared/clock.js';

/** What BullMQ holds of one queue. The database knows more: only the head of each chain is in a queue. */
export interface QueueCounts {
  name: string;
  waiting: number;
  active: number;
  delayed: number;
  failed: number;
}

const ANSWER_MS = 5000;

/** Counts the entries of the pools' queues; null when Redis does not answer within five seconds. */
export async function readQueueCounts(where: {
  url: string;
  prefix: string;
  pools: readonly string[];
}): Promise<QueueCounts[] | null> {
  const redis = connectRedis({ url: where.url }, { use: 'producer', onError: () => undefined });
  const queues = createQueueSet(redis, where.prefix, systemClock);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ANSWER_MS);
  });
  try {
    return await Promise.race([countAll(queues.queues(where.pools)), late]);
  } finally {
    clearTimeout(timer);
    // Not quit(): that would wait for a server that does not answer.
    redis.disconnect();
    await Promise.race([queues.close(), late]);
  }
}

async function countAll(
  queues: ReturnType<ReturnType<typeof createQueueSet>['queues']>,
): Promise<QueueCounts[]> {
  return Promise.all(
    queues.map(async (queue) => {
      const counts = await queue.getJobCounts('waiting', 'prioritized', 'active', 'delayed', 'failed');
      return {
        name: queue.name,
        waiting: (counts['waiting'] ?? 0) + (counts['prioritized'] ?? 0),
        active: counts['active'] ?? 0,
        delayed: counts['delayed'] ?? 0,
        failed: counts['failed'] ?? 0,
      };
    }),
  );
}
