import type { RestorePoint } from '../../../contract/index.js';
import type { NamedPoint } from '../../../db/chain/restorePoints.js';
import { iso } from './parts.js';

export function toRestorePoint({ point, vmName }: NamedPoint): RestorePoint {
  return {
    id: point.id,
    vm_context_id: point.vmContextId,
    vm_name: vmName,
    repository_id: point.repositoryId,
    type: point.type,
    status: point.status,
    consistency: point.consistency,
    missing_disks: point.missingDisks,
    notes: point.notes ?? [],
    created_at: point.createdAt.toISOString(),
    completed_at: iso(point.completedAt),
  };
}
