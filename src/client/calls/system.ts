import type { Healthz, Readyz } from '../../contract/index.js';
import type { CallOptions, Transport } from '../transport.js';

export interface SystemCalls {
  /** The API's process lives. */
  healthz(options?: CallOptions): Promise<Healthz>;
  /** The API reaches its database and Redis. @throws database_unavailable, queue_unavailable */
  readyz(options?: CallOptions): Promise<Readyz>;
}

export function systemCalls(transport: Transport): SystemCalls {
  return {
    healthz: (options) => transport.call({ method: 'GET', path: '/healthz', atRoot: true }, options),
    readyz: (options) => transport.call({ method: 'GET', path: '/readyz', atRoot: true }, options),
  };
}
