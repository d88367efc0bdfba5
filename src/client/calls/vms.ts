import type {
  Chain,
  ChainValidate,
  Consolidation,
  ContentRemovalQuery,
  Page,
  ValidationsAccepted,
  Vm,
  VmPut,
  VmQuery,
  VmRegistered,
} from '../../contract/index.js';
import { type CallOptions, path, type Transport } from '../transport.js';
import { keyOf, type WorkOptions } from './options.js';

export interface VmCalls {
  /** Registers a VM, or registers it again: disks that are left out are retired, their chains kept. */
  put(body: VmPut, options?: CallOptions): Promise<VmRegistered>;
  list(query?: VmQuery, options?: CallOptions): Promise<Page<Vm>>;
  get(vmContextId: string, options?: CallOptions): Promise<Vm>;
  /** The chain of one disk with all its backups. */
  chain(vmContextId: string, diskId: number, options?: CallOptions): Promise<Chain>;
  /** Accepts a validation of each of its chains. */
  validate(vmContextId: string, body: ChainValidate, options?: WorkOptions): Promise<ValidationsAccepted>;
  /** Forgets it; refused while it has restore points, open jobs or a policy. */
  remove(vmContextId: string, options?: CallOptions): Promise<void>;
  /** Removes all its backups, or, with the reason, none; its disks are retired. */
  removeBackups(
    vmContextId: string,
    query?: ContentRemovalQuery,
    options?: WorkOptions,
  ): Promise<Consolidation>;
}

export function vmCalls(transport: Transport): VmCalls {
  const base = path('vms');
  return {
    put: (body, options) => transport.call({ method: 'PUT', path: base, body }, options),
    list: (query, options) => transport.call({ method: 'GET', path: base, query }, options),
    get: (id, options) => transport.call({ method: 'GET', path: path('vms', id) }, options),
    chain: (id, diskId, options) =>
      transport.call({ method: 'GET', path: path('vms', id, 'disks', diskId, 'chain') }, options),
    validate: (id, body, options) =>
      transport.call(
        { method: 'POST', path: path('vms', id, 'validate'), body, idempotencyKey: keyOf(options) },
        options,
      ),
    remove: (id, options) => transport.call({ method: 'DELETE', path: path('vms', id) }, options),
    removeBackups: (id, query, options) =>
      transport.call(
        { method: 'DELETE', path: path('vms', id, 'backups'), query, idempotencyKey: keyOf(options) },
        options,
      ),
  };
}
