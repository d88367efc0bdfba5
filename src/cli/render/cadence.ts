import type { Repository, RepositoryValidation } from '../../client/index.js';

type Field = readonly [string, string];

const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * HOUR_SECONDS;

/** Fields of a repository: how its chains are, and what of its cadence is overdue. */
export function cadenceFields(
  repository: Repository,
  { chains, quick, deep }: RepositoryValidation,
  size: (bytes: number) => string,
): Field[] {
  const {
    validate_quick_hours: hours,
    validate_deep_days: days,
    validate_bytes_per_hour: bytes,
  } = repository;
  const budget = bytes === null ? '' : `, ${size(bytes)} an hour at most`;
  return [
    ['chains', `${chains.ok} ok, ${chains.suspect} suspect, ${chains.damaged} damaged`],
    ['validated quickly', quick ? `every ${hours} h: ${dueText(quick)}` : 'never'],
    ['validated deeply', deep ? `every ${days} days${budget}: ${dueText(deep)}` : 'never'],
  ];
}

function dueText({
  overdue_chains: overdue,
  oldest_seconds: oldest,
}: NonNullable<RepositoryValidation['quick']>): string {
  const age =
    oldest >= 2 * DAY_SECONDS
      ? `${Math.floor(oldest / DAY_SECONDS)} days`
      : `${Math.floor(oldest / HOUR_SECONDS)} h`;
  return `${overdue} overdue, the longest wait is ${age}`;
}
