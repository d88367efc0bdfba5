// One file for each noun of the API; the index puts their calls together.
import type { Page, Restore, RestoreAccepted, RestoreCreate, RestoreQuery } from '../../contract/index.js';
import { type CallOptions, path, type Transport } from '../transport.js';
import { keyOf, type WorkOptions } from './options.js';

export interface RestoreCalls {
  /** Accepts a restore; wait for `restore_id` with `waitForJob`. */
  create(body: RestoreCreate, options?: WorkOptions): Promise<RestoreAccepted>;
  list(query?: RestoreQuery, options?: CallOptions): Promise<Page<Restore>>;
  get(id: string, options?: CallOptions): Promise<Restore>;
}

export function restoreCalls(transport: Transport): RestoreCalls {
  const base = path('restores');
  return {
    create: (body, options) =>
      transport.call({ method: 'POST', path: base, body, idempotencyKey: keyOf(options) }, options),
    list: (query, options) => transport.call({ method: 'GET', path: base, query }, options),
    get: (id, options) => transport.call({ method: 'GET', path: path('restores', id) }, options),
  };
}
