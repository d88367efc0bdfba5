import type { Period } from '../../../../src/services/retention/periods.js';
import type { VmPoint } from '../../../../src/services/retention/forVm.js';
import type { PointFacts, RetentionInput } from '../../../../src/services/retention/types.js';

// Retention as docs/policies.md defines it, point by point and by brute force. It has nothing of the code but its types.

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
const CLOCKS_DIFFER_BY = 5 * MINUTE;

/** Whether a point is kept. */
export function isKept(point: PointFacts, input: RetentionInput): boolean {
  const { points, now, rules, immutableDays } = input;
  const isPast = ({ createdAt }: PointFacts) => Number(createdAt) <= Number(now) + CLOCKS_DIFFER_BY;
  if (Object.values(rules).every((value) => !value)) return true;
  if (point.state === 'unfinished' || !isPast(point)) return true;
  if (point.protectedUntil && point.protectedUntil > now) return true;
  if (immutableDays > 0 && Number(point.createdAt) + immutableDays * DAY > Number(now)) return true;
  const past = points.filter(isPast);
  const good = past.filter(({ state }) => state === 'good');
  const readable = past.filter(({ state }) => ['good', 'damaged', 'suspect'].includes(state));
  const isNewest = (of: PointFacts[]) => of.every((other) => other === point || isNewer(point, other));
  if (point.state === 'good') return isNewest(good) || byRules(point, good, input);
  if (readable.includes(point) && good.length === 0 && isNewest(readable)) return true;
  const asIf = readable.includes(point) ? readable : past.filter(({ state }) => state !== 'unfinished');
  return byRules(point, asIf, input);
}

/** The same for the points of a VM: whole ones among themselves, others disk by disk. */
export function isKeptForVm(
  point: VmPoint,
  input: Omit<RetentionInput, 'points'> & { points: readonly VmPoint[] },
): boolean {
  if (point.whole) return isKept(point, { ...input, points: input.points.filter(({ whole }) => whole) });
  return point.diskIds.some((disk) =>
    isKept(point, { ...input, points: input.points.filter(({ diskIds }) => diskIds.includes(disk)) }),
  );
}

/** Whether one rule keeps the point, counted among these. */
function byRules(
  point: PointFacts,
  among: readonly PointFacts[],
  { rules, timeZone }: RetentionInput,
): boolean {
  const newer = among.filter((other) => other !== point && isNewer(other, point));
  if (newer.length < (rules.last ?? 0)) return true;
  const latest = Math.max(...among.map(({ createdAt }) => Number(createdAt)));
  if (rules.withinMs && latest - Number(point.createdAt) <= rules.withinMs) return true;
  return (Object.keys(PERIOD_OF) as Period[]).some((period) => {
    const nameOf = ({ createdAt }: PointFacts) =>
      PERIOD_OF[period](wallClock(createdAt, timeZone), createdAt);
    const newerPeriods = new Set(newer.map(nameOf));
    return !newerPeriods.has(nameOf(point)) && newerPeriods.size < (rules[period] ?? 0);
  });
}

function isNewer(a: PointFacts, b: PointFacts): boolean {
  return Number(a.createdAt) === Number(b.createdAt) ? a.id > b.id : a.createdAt > b.createdAt;
}

/** By the wall clock, in ms as if it were that of UTC; numbers that differ exactly where the periods do. */
const PERIOD_OF: Record<Period, (wall: number, at: Date) => string | number> = {
  // The hour that comes twice is two hours: by the wall clock they are one, by their distance from UTC they are not.
  hourly: (wall, at) => `${Math.floor(wall / (60 * MINUTE))} ${Math.round((wall - Number(at)) / MINUTE)}`,
  daily: (wall) => Math.floor(wall / DAY),
  // 1970-01-01 was a Thursday.
  weekly: (wall) => Math.floor((Math.floor(wall / DAY) + 3) / 7),
  monthly: (wall) => new Date(wall).toISOString().slice(0, 7),
  yearly: (wall) => new Date(wall).getUTCFullYear(),
};

const formats = new Map<string, Intl.DateTimeFormat>();
/** To format is what takes the time. */
const known = new Map<string, number>();

/** The Swedish write dates as ISO 8601 does: `2026-10-25 02:30:00`. */
function wallClock(at: Date, timeZone: string): number {
  const key = `${timeZone} ${Number(at)}`;
  const seen = known.get(key);
  if (seen !== undefined) return seen;
  const options = { timeZone, dateStyle: 'short', timeStyle: 'medium' } as const;
  const format = formats.get(timeZone) ?? new Intl.DateTimeFormat('sv-SE', options);
  formats.set(timeZone, format);
  const wall = Date.parse(`${format.format(at).replace(' ', 'T')}Z`) + at.getUTCMilliseconds();
  known.set(key, wall);
  return wall;
}
