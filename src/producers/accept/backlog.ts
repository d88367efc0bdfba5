import type { EntityManager } from '../../db/database.js';
import { countWaitingBackups } from '../../db/job/waiting.js';
import type { Clock } from '../../shared/clock.js';
import { StrataError } from '../../shared/errors.js';

/** How long a count stands; what other processes accept meanwhile is seen by the next. */
const COUNT_EVERY_MS = 1_000;
/** While the backlog is full it is looked at more often: room must not stay unused. */
const LOOK_AGAIN_MS = 100;

/** Back pressure: whether more backups may wait. One for each process that accepts work. */
export interface Backlog {
  /** @throws backlog_full */
  assertRoom(tx: EntityManager): Promise<void>;
  /** Tells of backups that this process has accepted. */
  add(backups: number): void;
}

/**
 * Counts the waiting backups once a second, not once a request: with 100,000 of them each count takes as long as many
 * requests. Between two counts it adds what this process accepts, so that one process alone stays below the limit.
 */
export function createBacklog(limit: number, clock: Clock): Backlog {
  let counted = 0;
  let added = 0;
  let countedAt = Number.NEGATIVE_INFINITY;
  return {
    assertRoom: async (tx) => {
      const age = clock.monotonicMs() - countedAt;
      const full = counted >= limit;
      if (full ? age >= LOOK_AGAIN_MS : age >= COUNT_EVERY_MS || counted + added >= limit) {
        countedAt = clock.monotonicMs();
        added = 0;
        counted = await countWaitingBackups(tx, limit);
      }
      if (counted >= limit) throw new StrataError('backlog_full', `${limit} backups are waiting already.`);
    },
    add: (backups) => {
      added += backups;
    },
  };
}
