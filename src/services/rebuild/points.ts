import type { FoundDisk } from './facts.js';

/**
 * Disks that each restore point of a VM lacks, by the point's id. A disk counts as missing where it has backups both
 * before and after the instant of the point and none in it: it was left out, or its backup failed. Pure.
 * @param disks all disks of one VM
 */
export function missingDisks(disks: readonly FoundDisk[]): Map<string, number> {
  const lives = disks
    .map(withoutExpired)
    .filter(({ backups }) => backups.length > 0)
    .map(({ backups }) => {
      const times = backups.map(({ manifest }) => Date.parse(manifest.created_at));
      const points = new Set(backups.map(({ manifest }) => manifest.restore_point_id));
      const { first, last } = boundsOf(times);
      return { points, first, last };
    });
  const missing = new Map<string, number>();
  for (const { backups } of disks) {
    for (const { manifest } of backups) {
      const at = Date.parse(manifest.created_at);
      const absent = lives.filter(
        ({ points, first, last }) => first < at && at < last && !points.has(manifest.restore_point_id),
      );
      missing.set(manifest.restore_point_id, absent.length);
    }
  }
  return missing;
}

function boundsOf(times: readonly number[]): { first: number; last: number } {
  let first = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  for (const time of times) {
    first = Math.min(first, time);
    last = Math.max(last, time);
  }
  return { first, last };
}

function withoutExpired(disk: FoundDisk): FoundDisk {
  return { ...disk, backups: disk.backups.filter(({ manifest }) => manifest.expired_at === undefined) };
}
