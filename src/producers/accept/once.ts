import type { Delivery } from '../../shared/jobs.js';
import type { EntityManager } from '../../db/database.js';
import { findAnswer, saveAnswer } from '../../db/job/idempotency.js';
import { inTransaction, isDuplicate } from '../../db/transaction.js';
import type { AcceptDeps, Idempotency } from './deps.js';

/** Work that one transaction accepts: the answer, and the heads that want a queue entry after the commit. */
export interface Accepted<T> {
  answer: T;
  deliveries: Delivery[];
}

/**
 * Accepts work in one transaction, once per Idempotency-Key: the key is written with the intent, so either both exist
 * or neither. After the commit the heads are put into the queue; where Redis is away they are left to the sweeper,
 * because what is in the database is accepted (invariant 15).
 * @throws idempotency_mismatch when the key was used with another request
 */
export async function acceptOnce<T extends object>(
  deps: AcceptDeps,
  idempotency: Idempotency | undefined,
  accept: (tx: EntityManager) => Promise<Accepted<T>>,
): Promise<T> {
  const earlier = await answerOf<T>(deps, idempotency);
  if (earlier) return earlier;
  let accepted: Accepted<T>;
  try {
    accepted = await inTransaction(deps.ds, async (tx) => {
      const result = await accept(tx);
      if (idempotency) await saveAnswer(tx, idempotency, result.answer);
      return result;
    });
  } catch (error) {
    const raced =
      idempotency &&
      isDuplicate((error as Error).cause, 'PRIMARY') &&
      (await findAnswer<T>(deps.ds, idempotency));
    if (raced) return raced;
    throw error;
  }
  await deliverAll(deps, accepted.deliveries);
  return accepted.answer;
}

/**
 * Puts heads into the queue. A Redis that is away is said and left to the sweeper; it is not asked again for each disk,
 * because one that does not answer costs seconds every time.
 */
export async function deliverAll(deps: AcceptDeps, deliveries: readonly Delivery[]): Promise<void> {
  for (const [index, delivery] of deliveries.entries()) {
    try {
      await deps.queue.deliver(delivery);
    } catch (error) {
      const jobIds = deliveries.slice(index).map(({ jobId }) => jobId);
      deps.log.warn({ err: error, jobIds }, 'accepted, but not queued yet: the sweeper will do it');
      return;
    }
  }
}

/**
 * What the request with this key was answered, if it was.
 * @throws idempotency_mismatch when the key was used with another request
 */
export async function answerOf<T>(
  deps: Pick<AcceptDeps, 'ds'>,
  idempotency: Idempotency | undefined,
): Promise<T | undefined> {
  return idempotency && findAnswer<T>(deps.ds, idempotency);
}
