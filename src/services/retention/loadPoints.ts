import type { DataSource } from '../../db/database.js';
import { type DiskOfPoint, pointsOfVm } from '../../db/chain/retention.js';
import type { Health, RestorePointStatus } from '../../entities/index.js';
import { byId, healthOfPoint, lineageOf, loadLayers, worst } from '../chain/index.js';
import type { VmPoint } from './forVm.js';
import type { PointState } from './types.js';

/** The restore points of a VM, with what their backups are; those whose backups have all expired are left out. */
export async function loadPoints(ds: DataSource, vmContextId: string): Promise<VmPoint[]> {
  const rows = await pointsOfVm(ds, vmContextId);
  const healths = await healthOfBackups(ds, new Set(rows.flatMap(({ chainId }) => chainId ?? [])));
  const points = new Map<string, DiskOfPoint[]>();
  for (const row of rows) points.set(row.id, [...(points.get(row.id) ?? []), row]);
  return [...points.values()]
    .filter((disks) => disks.some(({ jobStatus }) => jobStatus !== null && jobStatus !== 'expired'))
    .map((disks) => toPoint(disks, healths));
}

/** How each restore point of these chains is, with all that it stands on. */
async function healthOfBackups(ds: DataSource, chainIds: ReadonlySet<string>): Promise<Map<string, Health>> {
  const healths = new Map<string, Health>();
  for (const chainId of chainIds) {
    const layers = byId(await loadLayers(ds, chainId));
    for (const { id, expired } of layers.values())
      if (!expired) healths.set(id, healthOfPoint(lineageOf(layers, id)));
  }
  return healths;
}

function toPoint(disks: DiskOfPoint[], healths: ReadonlyMap<string, Health>): VmPoint {
  const [first] = disks as [DiskOfPoint, ...DiskOfPoint[]];
  const protections = disks.flatMap(({ protectedUntil }) => protectedUntil ?? []);
  return {
    id: first.id,
    createdAt: first.createdAt,
    state: stateOf(first.status, disks, healths),
    protectedUntil: protections.length === 0 ? null : new Date(Math.max(...protections.map(Number))),
    diskIds: disks.flatMap(({ diskId }) => diskId ?? []),
    whole: first.missingDisks === 0,
  };
}

function stateOf(
  status: RestorePointStatus,
  disks: readonly DiskOfPoint[],
  healths: ReadonlyMap<string, Health>,
): PointState {
  if (status === 'pending' || status === 'running') return 'unfinished';
  if (status === 'failed' || status === 'cancelled') return 'incomplete';
  if (disks.some(({ jobStatus }) => jobStatus === 'expired')) return 'incomplete';
  const health = worst(disks.map(({ backupId }) => healths.get(backupId ?? '') ?? 'ok'));
  return health === 'ok' ? 'good' : health;
}
