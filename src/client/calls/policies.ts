import type {
  Page,
  Policy,
  PolicyCreate,
  PolicyPatch,
  PolicyRun,
  PolicyRunWithVms,
  Simulation,
} from '../../contract/index.js';
import { type CallOptions, path, type Transport } from '../transport.js';
import { keyOf, listOf, type PageRequest, type WorkOptions } from './options.js';

export interface PolicyCalls {
  create(body: PolicyCreate, options?: WorkOptions): Promise<Policy>;
  list(page?: PageRequest, options?: CallOptions): Promise<Page<Policy>>;
  get(id: string, options?: CallOptions): Promise<Policy>;
  change(id: string, body: PolicyPatch, options?: CallOptions): Promise<Policy>;
  remove(id: string, options?: CallOptions): Promise<void>;
  /** Runs it now. */
  run(id: string, options?: WorkOptions): Promise<PolicyRun>;
  runs(id: string, page?: PageRequest, options?: CallOptions): Promise<Page<PolicyRun>>;
  getRun(id: string, runId: string, options?: CallOptions): Promise<PolicyRunWithVms>;
  /** What it would keep now, and why. */
  simulate(id: string, options?: CallOptions): Promise<Simulation>;
}

export function policyCalls(transport: Transport): PolicyCalls {
  const base = path('policies');
  const one = (id: string, ...rest: string[]) => path('policies', id, ...rest);
  const list = listOf(transport);
  return {
    create: (body, options) =>
      transport.call({ method: 'POST', path: base, body, idempotencyKey: keyOf(options) }, options),
    list: (page, options) => list(base, page, options),
    get: (id, options) => transport.call({ method: 'GET', path: one(id) }, options),
    change: (id, body, options) => transport.call({ method: 'PATCH', path: one(id), body }, options),
    remove: (id, options) => transport.call({ method: 'DELETE', path: one(id) }, options),
    run: (id, options) =>
      transport.call({ method: 'POST', path: one(id, 'run'), idempotencyKey: keyOf(options) }, options),
    runs: (id, page, options) => list(one(id, 'runs'), page, options),
    getRun: (id, runId, options) => transport.call({ method: 'GET', path: one(id, 'runs', runId) }, options),
    simulate: (id, options) => transport.call({ method: 'GET', path: one(id, 'simulate') }, options),
  };
}
