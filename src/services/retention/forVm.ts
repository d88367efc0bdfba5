import { decideRetention } from './decide.js';
import type { PointFacts, RetentionInput, Verdict } from './types.js';

/** A restore point with the disks that it has. */
export interface VmPoint extends PointFacts {
  diskIds: readonly number[];
  /** It has every disk that the VM had then. */
  whole: boolean;
}

/**
 * Says of every restore point of a VM whether it is kept. Pure.
 *
 * Whole points are judged among themselves. A point of some disks only (the request named them) never takes the place of a
 * whole one: it is judged disk by disk, among all points that have this disk, and kept if one of its disks keeps it.
 * @returns newest first
 */
export function decideForVm(
  input: Omit<RetentionInput, 'points'> & { points: readonly VmPoint[] },
): Verdict[] {
  const whole = input.points.filter((point) => point.whole);
  const verdicts = new Map(decideRetention({ ...input, points: whole }).map((each) => [each.id, each]));
  const parts = input.points.filter((point) => !point.whole);
  for (const diskId of new Set(parts.flatMap((point) => point.diskIds))) {
    const points = input.points.filter((point) => point.diskIds.includes(diskId));
    for (const verdict of decideRetention({ ...input, points })) {
      const isPart = parts.some(({ id }) => id === verdict.id);
      if (isPart) verdicts.set(verdict.id, together(verdicts.get(verdict.id), verdict, diskId));
    }
  }
  return [...verdicts.values()].sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime());
}

/** Kept by one disk is kept. */
function together(before: Verdict | undefined, verdict: Verdict, diskId: number): Verdict {
  const reasons = verdict.reasons.map((reason) => `disk ${diskId}: ${reason}`);
  if (!before || (verdict.keep && !before.keep)) return { ...verdict, reasons };
  if (before.keep && !verdict.keep) return before;
  return { ...before, reasons: [...before.reasons, ...reasons] };
}
