import { type JobStatus } from '../../shared/jobs.js';
import type { DataSource } from '../../db/database.js';
import { asking } from '../../db/transaction.js';
import type { RestorePointStatus } from '../../entities/index.js';
import type { VmPoint } from './forVm.js';
import type { PointState } from './types.js';

interface Row {
  id: string;
  created_at: Date;
  status: RestorePointStatus;
  missing_disks: number;
  disk_id: number | null;
  job_status: JobStatus | null;
  health: string | null;
  content_wrong_at: Date | null;
  protected_until: Date | null;
}

/** The restore points of a VM, with what their backups are; those whose backups have all expired are left out. */
export async function loadPoints(ds: DataSource, vmContextId: string): Promise<VmPoint[]> {
  const rows = await asking(() =>
    ds.query<Row[]>(
      `SELECT p.id, p.created_at, p.status, p.missing_disks, b.disk_id, b.status AS job_status, b.health,
              b.content_wrong_at, b.protected_until
       FROM restore_points p LEFT JOIN backup_jobs b ON b.restore_point_id = p.id WHERE p.vm_context_id = ?`,
      [vmContextId],
    ),
  );
  const points = new Map<string, Row[]>();
  for (const row of rows) points.set(row.id, [...(points.get(row.id) ?? []), row]);
  return [...points.values()]
    .filter((disks) => disks.some(({ job_status }) => job_status !== null && job_status !== 'expired'))
    .map(toPoint);
}

function toPoint(disks: Row[]): VmPoint {
  const [first] = disks as [Row, ...Row[]];
  const protections = disks.flatMap(({ protected_until }) => protected_until ?? []);
  return {
    id: first.id,
    createdAt: first.created_at,
    state: stateOf(first.status, disks),
    protectedUntil: protections.length === 0 ? null : new Date(Math.max(...protections.map(Number))),
    diskIds: disks.flatMap(({ disk_id }) => disk_id ?? []),
    whole: first.missing_disks === 0,
  };
}

function stateOf(status: RestorePointStatus, disks: readonly Row[]): PointState {
  if (status === 'pending' || status === 'running') return 'unfinished';
  if (status === 'failed' || status === 'cancelled') return 'incomplete';
  if (disks.some(({ job_status }) => job_status === 'expired')) return 'incomplete';
  if (disks.some(({ health, content_wrong_at }) => health === 'damaged' || content_wrong_at))
    return 'damaged';
  return disks.some(({ health }) => health === 'suspect') ? 'suspect' : 'good';
}
