import { JOB_KINDS } from '../../shared/jobs.js';
import { JOB_TABLES } from './kinds.js';

/** What a job's bandwidth depends on; the limits are bytes per second, null for none. */
export interface RateFacts {
  own: number | null;
  repository: number | null;
  /** Other jobs that now run on the repository, on any host. */
  othersRunning: number;
}

/**
 * What a job may move now, in bytes per second; null for no limit: the least of its own limit and an equal share of the
 * repository's. Pure.
 */
export function rateOf({ own, repository, othersRunning }: RateFacts): number | null {
  const share = repository === null ? null : Math.max(1, Math.floor(repository / (othersRunning + 1)));
  if (own === null || share === null) return own ?? share;
  return Math.min(own, share);
}

/** The columns of RateFacts, for a statement with a job `j` and its repository `r`. Counts only where there is a limit. */
export const RATE_COLUMNS = `j.max_bytes_per_second AS own_rate, r.max_bytes_per_second AS repository_rate,
  CASE WHEN r.max_bytes_per_second IS NULL THEN 0 ELSE ${JOB_KINDS.map(
    (kind) =>
      `(SELECT COUNT(*) FROM ${JOB_TABLES[kind]} o WHERE o.repository_id = r.id AND o.status = 'running' AND o.id <> j.id)`,
  ).join(' + ')} END AS others_running`;

/** A row of RATE_COLUMNS: big integers arrive as text. */
export interface RateRow {
  own_rate: string | null;
  repository_rate: string | null;
  others_running: string;
}

export function rateOfRow(row: RateRow): number | null {
  return rateOf({
    own: row.own_rate === null ? null : Number(row.own_rate),
    repository: row.repository_rate === null ? null : Number(row.repository_rate),
    othersRunning: Number(row.others_running),
  });
}
