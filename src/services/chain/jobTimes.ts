import type { DataSource } from '../../db/database.js';
import { JOB_TABLES } from '../../db/jobs/kinds.js';
import type { JobKind } from '../../entities/index.js';

/** Milliseconds since the job was accepted, by the database's clock. */
export async function jobAgeMs(ds: DataSource, kind: JobKind, jobId: string): Promise<number> {
  const rows = await ds.query<{ age: string }[]>(
    `SELECT TIMESTAMPDIFF(MICROSECOND, created_at, UTC_TIMESTAMP(3)) DIV 1000 AS age FROM ${JOB_TABLES[kind]} WHERE id = ?`,
    [jobId],
  );
  return Number(rows[0]?.age ?? 0);
}
