import type { Repository, RepositoryValidation } from '../../client/index.js';
import { renderTable } from './table.js';

type Field = readonly [string, string];

/** A repository as `strata status` tells of it. */
export interface RepositoryState extends RepositoryValidation {
  name: string;
  pool: string;
  /** Kinds of jobs for which no live worker serves the pool; empty for a repository that is disabled. */
  unserved_kinds: NonNullable<Repository['unserved_kinds']>;
}

const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * HOUR_SECONDS;

/** Fields of a repository: how its chains are, and what of its cadence is overdue. */
export function cadenceFields(
  repository: Repository,
  { chains, backups, quick, deep }: RepositoryValidation,
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
    ['ill backups', `${backups.suspect} suspect, ${backups.damaged} damaged`],
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

/** `24 h, 30 days`: how often the chains of a repository are validated quickly, and deeply. */
export function cadenceText({
  validate_quick_hours: hours,
  validate_deep_days: days,
}: Pick<Repository, 'validate_quick_hours' | 'validate_deep_days'>): string {
  return `${hours === 0 ? 'never' : `${hours} h`}, ${days === 0 ? 'never' : `${days} days`}`;
}

/** Draws how the repositories are: what is ill, and what was not validated for too long (`-`: that level is off). */
export function renderRepositories(repositories: readonly RepositoryState[]): string {
  const count = (title: string, value: (row: RepositoryState) => number | null) => ({
    title,
    value,
    align: 'right' as const,
  });
  const columns = [
    { title: 'REPOSITORY', value: (row: RepositoryState) => row.name },
    count('CHAINS', ({ chains }) => chains.ok + chains.suspect + chains.damaged),
    count('SUSPECT', ({ chains }) => chains.suspect),
    count('DAMAGED', ({ chains }) => chains.damaged),
    count('DAMAGED BACKUPS', ({ backups }) => backups.damaged),
    count('OVERDUE QUICK', ({ quick }) => quick?.overdue_chains ?? null),
    count('OVERDUE DEEP', ({ deep }) => deep?.overdue_chains ?? null),
  ];
  const unserved = repositories.filter(({ unserved_kinds: kinds }) => kinds.length > 0);
  const warnings = unserved.map(
    ({ name, pool, unserved_kinds: kinds }) =>
      `Repository ${name}: no live worker serves ${kinds.join(', ')} jobs of its pool ${pool} (STRATA_POOLS).\n`,
  );
  return renderTable(columns, repositories, 'No repositories.') + warnings.join('');
}
