import type { BackupAccepted } from '../../contract/index.js';
import { createHash } from 'node:crypto';
import { DelayedError, type Job, UnrecoverableError, Worker } from '../../queue/bullmq.js';
import { intakeQueueName, queuePrefix } from '../../queue/catalogue.js';
import type { Redis } from '../../queue/connection.js';
import { asStrataError } from '../../shared/errors.js';
import { acceptBackup, type AcceptDeps } from '../accept/index.js';
import { parseIntake } from './payload.js';

export interface IntakeOptions {
  /** A connection of its own for the worker. */
  redis: Redis;
  redisPrefix: string;
  pools: readonly string[];
}

/** How long an entry waits that cannot be accepted now: the backlog is full, the database is away. */
const TRY_AGAIN_MS = 5_000;
const LOCK_MS = 60_000;

/**
 * Takes backup requests of upstreams that speak BullMQ from `intake.<pool>`. An entry ends in the same intent as
 * `POST /backups`, and its return value is the same answer; a bad one fails with the code and the field.
 * @returns stops taking entries and waits for those under way
 */
export function startIntake(deps: AcceptDeps, options: IntakeOptions): { stop: () => Promise<void> } {
  const workers = options.pools.map((pool) => {
    const name = intakeQueueName(pool);
    const worker = new Worker(name, (entry: Job, token?: string) => takeEntry(deps, pool, entry, token), {
      connection: options.redis,
      prefix: queuePrefix(options.redisPrefix, name),
      concurrency: 4,
      lockDuration: LOCK_MS,
      maxStalledCount: 1_000_000,
    });
    worker.on('error', (error) => deps.log.warn({ err: error, queue: name }, 'the queue reports an error'));
    return worker;
  });
  return {
    stop: async () => {
      await Promise.all(workers.map((worker) => worker.close()));
    },
  };
}

async function takeEntry(
  deps: AcceptDeps,
  pool: string,
  entry: Job,
  token: string | undefined,
): Promise<BackupAccepted> {
  try {
    const payload = parseIntake(entry.data);
    return await acceptBackup(deps, payload.backup, {
      tokenId: `intake.${pool}`,
      // Delivered twice, an entry is still one request.
      key: payload.idempotency_key ?? `entry:${entry.id}`,
      requestSha256: createHash('sha256').update(JSON.stringify(payload.backup)).digest('hex'),
    });
  } catch (error) {
    const failed = asStrataError(error);
    if (failed.outcome === 'wait') {
      deps.log.warn({ err: failed, entryId: entry.id }, 'an intake entry has to wait');
      await entry.moveToDelayed(deps.clock.now().getTime() + TRY_AGAIN_MS, token);
      throw new DelayedError();
    }
    const fields = failed.fields.map(({ field, message }) => `${field} ${message}`).join('; ');
    throw new UnrecoverableError(`${failed.code}: ${failed.message}${fields ? ` (${fields})` : ''}`);
  }
}
