import type { Layer } from '../../src/services/chain/index.js';

/** A sound full of a chain, changed by `over`; what stands on something is an increment. */
export function aLayer(id: string, over: Partial<Layer> = {}): Layer {
  return {
    id,
    seq: 1,
    chainId: 'c',
    restorePointId: `rp_${id}`,
    vmContextId: 'vm',
    diskId: 0,
    repositoryId: 'repo',
    parentId: null,
    type: (over.parentId ?? null) === null ? 'full' : 'incremental',
    requestedType: 'auto',
    expired: false,
    createdAt: new Date(0),
    path: `vm/disk-0/${id}.qcow2`,
    virtualSize: 1024,
    sizeBytes: 100,
    contentId: `content-${id}`,
    changeId: null,
    sizeChanges: null,
    health: 'ok',
    damageLocated: false,
    contentWrongAt: null,
    protected: false,
    inUse: false,
    ...over,
  };
}
