import { basename } from 'node:path';
import type { DataSource } from '../../db/database.js';
import { findContext } from '../../db/vm/vmContexts.js';
import { secondsOfName } from '../repository/layout.js';
import type { FoundDisk } from './facts.js';
import type { Neighbours } from './reconstruct.js';

/**
 * What the other manifests of a VM and the catalogue tell of a backup whose manifest is lost.
 * @param disks all disks of the VM
 * @throws database_unavailable
 */
export async function neighboursOf(
  ds: DataSource,
  found: FoundDisk,
  disks: readonly FoundDisk[],
): Promise<Neighbours> {
  const others = disks.filter(({ diskId }) => diskId !== found.diskId).flatMap(({ backups }) => backups);
  const points = new Map<number, { id: string; createdAt: string }>();
  const ambiguous = new Set<number>();
  for (const { manifest, path } of others) {
    const { restore_point_id: id, created_at: createdAt } = manifest;
    // That of the name: where two instants share a second, the names of all disks have moved on alike.
    const second = secondsOfName(basename(path));
    if (second === undefined) continue;
    const known = points.get(second);
    if (known !== undefined && known.id !== id) ambiguous.add(second);
    points.set(second, { id, createdAt });
  }
  for (const second of ambiguous) points.delete(second);
  const known = await findContext(ds, found.vmContextId);
  const last = (found.backups.at(-1) ?? others.at(-1))?.manifest;
  return {
    vmName: known?.vmName ?? last?.vm_name ?? '',
    upstreamId: known?.upstreamId ?? last?.upstream_id ?? '',
    points,
  };
}
