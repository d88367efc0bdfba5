import { randomUUID } from 'node:crypto';
import type { Page } from '../../contract/index.js';
import type { CallOptions, Query, Transport } from '../transport.js';

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

/** The list at a path, a page of it at a time. */
export function listOf(transport: Transport) {
  return <T>(at: string, page?: PageRequest, options?: CallOptions): Promise<Page<T>> =>
    transport.call({ method: 'GET', path: at, query: page as Query | undefined }, options);
}
