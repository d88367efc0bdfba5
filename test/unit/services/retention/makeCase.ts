import type { PointFacts, RetentionInput } from '../../../../src/services/retention/types.js';

export interface RetentionCase {
  title: string;
  input: RetentionInput;
}

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** `2026-01-01T10:00Z`, or with a state or a protection behind it: `2026-01-01T10:00Z damaged until 2026-02-01T00:00Z`. */
function point(text: string, index: number): PointFacts {
  const [at = '', ...rest] = text.split(' ');
  const until = rest.indexOf('until');
  const state = (until === 0 ? undefined : rest[0]) ?? 'good';
  return {
    id: `rp_${String(index).padStart(3, '0')}`,
    createdAt: new Date(at),
    state: state as PointFacts['state'],
    protectedUntil: until === -1 ? null : new Date(rest[until + 1] ?? ''),
  };
}

/** `count` instants from `first` on, `step` ms apart. */
export function every(step: number, first: string, count: number): string[] {
  return Array.from({ length: count }, (_, n) => new Date(Date.parse(first) + n * step).toISOString());
}

export function retention(
  title: string,
  rules: RetentionInput['rules'],
  points: string[],
  more: Partial<Omit<RetentionInput, 'points' | 'rules'>> = {},
): RetentionCase {
  const facts = points.map(point);
  const latest = Math.max(...facts.map(({ createdAt }) => createdAt.getTime()), 0);
  const now = more.now ?? new Date(latest + HOUR);
  return { title, input: { points: facts, rules, timeZone: 'UTC', immutableDays: 0, ...more, now } };
}
