import type {
  Chain,
  ChainConsolidate,
  ChainQuery,
  ChainSummary,
  ChainValidate,
  Consolidation,
  Protection,
  RemovalQuery,
  Page,
  RestorePoint,
  RestorePointQuery,
  RestorePointWithBackups,
  SyntheticFullPlan,
  JobAccepted,
} from '../../contract/index.js';
import { type CallOptions, path, type Transport } from '../transport.js';
import { keyOf, type WorkOptions } from './options.js';

export interface ChainCalls {
  list(query?: ChainQuery, options?: CallOptions): Promise<Page<ChainSummary>>;
  get(id: string, options?: CallOptions): Promise<Chain>;
  /** Accepts a validation job. */
  validate(id: string, body: ChainValidate, options?: WorkOptions): Promise<JobAccepted>;
  /** Removes and merges what is not to be kept; a dry run only tells. */
  consolidate(id: string, body: ChainConsolidate, options?: WorkOptions): Promise<Consolidation>;
  /** Accepts a synthetic full of the latest backup. */
  syntheticFull(id: string, options?: WorkOptions): Promise<JobAccepted>;
  /** Says what a synthetic full would do. */
  planSyntheticFull(id: string, options?: CallOptions): Promise<SyntheticFullPlan>;
}

export interface RestorePointCalls {
  list(query?: RestorePointQuery, options?: CallOptions): Promise<Page<RestorePoint>>;
  /** With the backups of all its disks. */
  get(id: string, options?: CallOptions): Promise<RestorePointWithBackups>;
  /** Protects the backups of all its disks from removal until a date, or no longer. */
  protect(id: string, body: Protection, options?: CallOptions): Promise<RestorePointWithBackups>;
  /** Removes the backups of all its disks, or, with the reason, none. */
  remove(id: string, query?: RemovalQuery, options?: WorkOptions): Promise<Consolidation>;
}

export function chainCalls(transport: Transport): ChainCalls {
  return {
    list: (query, options) => transport.call({ method: 'GET', path: path('chains'), query }, options),
    get: (id, options) => transport.call({ method: 'GET', path: path('chains', id) }, options),
    validate: (id, body, options) =>
      transport.call(
        { method: 'POST', path: path('chains', id, 'validate'), body, idempotencyKey: keyOf(options) },
        options,
      ),
    consolidate: (id, body, options) =>
      transport.call(
        { method: 'POST', path: path('chains', id, 'consolidate'), body, idempotencyKey: keyOf(options) },
        options,
      ),
    planSyntheticFull: (id, options) =>
      transport.call(
        { method: 'POST', path: path('chains', id, 'synthetic-full'), body: { dry_run: true } },
        options,
      ),
    syntheticFull: (id, options) =>
      transport.call(
        { method: 'POST', path: path('chains', id, 'synthetic-full'), idempotencyKey: keyOf(options) },
        options,
      ),
  };
}

export function restorePointCalls(transport: Transport): RestorePointCalls {
  const base = path('restore-points');
  return {
    list: (query, options) => transport.call({ method: 'GET', path: base, query }, options),
    get: (id, options) => transport.call({ method: 'GET', path: path('restore-points', id) }, options),
    protect: (id, body, options) =>
      transport.call({ method: 'PATCH', path: path('restore-points', id), body }, options),
    remove: (id, query, options) =>
      transport.call(
        { method: 'DELETE', path: path('restore-points', id), query, idempotencyKey: keyOf(options) },
        options,
      ),
  };
}
