import { PERIODS, periodNames } from './periods.js';
import type { KeepRules, PointFacts, PointState, RetentionInput, Verdict } from './types.js';

const DAY_MS = 86_400_000;
/** Clocks of hosts differ by less; a point beyond this is from a clock that was wrong. */
const CLOCK_TOLERANCE_MS = 300_000;

/**
 * Says of every restore point of a VM whether it is kept, and why. Pure.
 *
 * - Only good points count: a failed, damaged or suspect one never takes the place of a good one.
 * - What does not count is kept for as long as the rules would keep it if it did: a point that was found damaged today is
 *   not thrown away today, because most of it may be readable. It ages like the others.
 * - The newest good point always stays. So does everything if there are no rules.
 * - Points dated in the future (a clock stepped) are kept and do not count: they would make all others look old.
 * - Protection and the repository's immutable days keep beyond the rules.
 * @returns newest first
 */
export function decideRetention(input: RetentionInput): Verdict[] {
  const points = [...input.points].sort(newestFirst);
  const limit = input.now.getTime() + CLOCK_TOLERANCE_MS;
  const past = points.filter(({ createdAt }) => createdAt.getTime() <= limit);
  const good = past.filter(({ state }) => state === 'good');
  const names = periodNames(input.timeZone);
  const wanted = applyRules(good, input.rules, names);
  // Two pools: an attempt that brought nothing must not make a damaged point look older than it is.
  const withDamaged = past.filter(({ state }) => state === 'good' || isReadable(state));
  const asIfGood = applyRules(withDamaged, input.rules, names);
  const asIfComplete = applyRules(
    past.filter(({ state }) => state !== 'unfinished'),
    input.rules,
    names,
  );
  const noRules = Object.values(input.rules).every((value) => !value);
  return points.map((point) => {
    const reasons = [
      ...(noRules ? ['no rule removes anything'] : []),
      ...(wanted.get(point.id) ?? []),
      ...(point.state === 'good'
        ? []
        : whyKeptAnyway(point, isReadable(point.state) ? asIfGood : asIfComplete)),
      ...(good[0] === point ? ['newest good point'] : []),
      ...(good.length === 0 && withDamaged[0] === point ? ['there is nothing better'] : []),
      ...(point.createdAt.getTime() > limit ? ['dated in the future'] : []),
      ...holds(point, input),
    ];
    const { id, createdAt, state } = point;
    const keep = reasons.length > 0;
    return { id, createdAt, state, keep, reasons: keep ? reasons : [whyRemoved(point)] };
  });
}

/** By the rules, the points that each keeps, with its reason. @param points newest first */
function applyRules(
  points: readonly PointFacts[],
  rules: KeepRules,
  names: ReturnType<typeof periodNames>,
): Map<string, string[]> {
  const reasons = new Map<string, string[]>();
  const keep = ({ id }: PointFacts, reason: string) => reasons.set(id, [...(reasons.get(id) ?? []), reason]);
  for (const [index, point] of points.slice(0, rules.last ?? 0).entries()) keep(point, `last ${index + 1}`);
  for (const period of PERIODS) {
    const count = rules[period] ?? 0;
    const newest = new Map<string, PointFacts>();
    for (const point of points) {
      // To name periods is nearly all that a decision takes.
      if (newest.size >= count) break;
      const name = names[period](point.createdAt);
      if (!newest.has(name)) newest.set(name, point);
    }
    for (const [name, point] of newest) keep(point, `${period} ${name}`);
  }
  keepWithin(points, rules, keep);
  return reasons;
}

/** Counted from the newest point and not from now: a VM that was not backed up for months keeps its last days. */
function keepWithin(
  points: readonly PointFacts[],
  { withinMs = 0 }: KeepRules,
  keep: (point: PointFacts, reason: string) => void,
): void {
  const [newest] = points;
  if (!newest || withinMs === 0) return;
  const since = newest.createdAt.getTime() - withinMs;
  for (const point of points) if (point.createdAt.getTime() >= since) keep(point, 'within');
}

/** Most of it can be read, as far as is known. */
function isReadable(state: PointState): boolean {
  return state === 'damaged' || state === 'suspect';
}

function whyKeptAnyway(point: PointFacts, asIfGood: ReadonlyMap<string, string[]>): string[] {
  if (point.state === 'unfinished') return ['not finished'];
  return (asIfGood.get(point.id) ?? []).map((reason) => `${point.state}; ${reason} if it counted`);
}

function holds({ createdAt, protectedUntil }: PointFacts, { now, immutableDays }: RetentionInput): string[] {
  const immutableUntil = new Date(createdAt.getTime() + immutableDays * DAY_MS);
  return [
    ...(protectedUntil && protectedUntil > now ? [`protected until ${protectedUntil.toISOString()}`] : []),
    ...(immutableDays > 0 && immutableUntil > now ? [`immutable until ${immutableUntil.toISOString()}`] : []),
  ];
}

function whyRemoved({ state }: PointFacts): string {
  return state === 'good' ? 'no rule keeps it' : `${state}, and no rule would keep it`;
}

/** Of two of one instant, the later id is the newer one. */
function newestFirst(a: PointFacts, b: PointFacts): number {
  return b.createdAt.getTime() - a.createdAt.getTime() || (a.id < b.id ? 1 : -1);
}
