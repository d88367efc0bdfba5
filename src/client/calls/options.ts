import { randomUUID } from 'node:crypto';
import type { CallOptions } from '../transport.js';

/** For POSTs that create work. */
export interface WorkOptions extends CallOptions {
  /** A key of your own, where the same request may come from two places; a random one per call otherwise. */
  idempotencyKey?: string | undefined;
}

/** A page of a list: at most `limit` items after `cursor`. */
export interface PageRequest {
  limit?: number | undefined;
  cursor?: string | undefined;
}

/** The key with which all tries of one call are one request. */
export function keyOf(options: WorkOptions | undefined): string {
  return options?.idempotencyKey ?? randomUUID();
}
