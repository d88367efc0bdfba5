import type { JobKind } from '../shared/jobs.js';
import { StrataError } from '../shared/errors.js';

/** A queue entry carries ids only; everything else is read from the database at the moment of work. */
export interface JobPayload {
  v: 1;
  job_id: string;
  delivery: number;
}

/** Name of the queue of a kind for the workers of a pool. */
export function queueName(kind: JobKind, pool: string): string {
  return `${kind}.${pool}`;
}

/** Name of the queue into which upstreams that speak BullMQ put their requests. */
export function intakeQueueName(pool: string): string {
  return `intake.${pool}`;
}

/** One hash tag for all keys of a queue, so that Redis Cluster keeps them on one node. */
export function queuePrefix(prefix: string, name: string): string {
  return `{${prefix}:${name}}`;
}

/** Id of a queue entry, derived from the intent; neither an integer nor with a colon, which BullMQ forbids. */
export function entryId(jobId: string, delivery: number): string {
  return `${jobId}-${delivery}`;
}

/**
 * Reads a payload, also of an older version.
 * @throws invalid_request for anything that Strata has not put there
 */
export function parsePayload(raw: unknown): JobPayload {
  if (typeof raw === 'object' && raw !== null) {
    const { v, job_id, delivery } = raw as Record<string, unknown>;
    const known = v === 1 && typeof job_id === 'string' && /^[a-z]{3}_[0-9a-z]{1,60}$/.test(job_id);
    if (known && typeof delivery === 'number' && Number.isSafeInteger(delivery))
      return { v, job_id, delivery };
  }
  throw new StrataError('invalid_request', 'The queue entry does not carry a known payload.');
}
