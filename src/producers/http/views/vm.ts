import type { Source, Vm } from '../../../contract/index.js';
import type { VmWithDisks } from '../../../db/vm/vms.js';
import type { DiskSource } from '../../../shared/sources.js';
import { iso } from './parts.js';

export function toVm({ vm, disks }: VmWithDisks): Vm {
  return {
    vm_context_id: vm.vmContextId,
    vm_name: vm.vmName,
    upstream_id: vm.upstreamId,
    previous_name: vm.previousName,
    repository_id: vm.repositoryId,
    created_at: vm.createdAt.toISOString(),
    disks: disks.map((disk) => ({
      disk_id: disk.diskId,
      label: disk.label,
      virtual_size: disk.virtualSize,
      source: toSource(disk.source),
      retired_at: iso(disk.retiredAt),
      chain_id: disk.chainId,
    })),
  };
}

/** A URI may carry a user's password: it is for the worker, not for every reader. */
function toSource(source: DiskSource | null): Source | null {
  if (source?.type !== 'nbd') return source;
  return { ...source, uri: source.uri.replace(/^([a-z+]+:\/\/[^/@:]*):[^/@]*@/, '$1:***@') };
}
