import { isOpen, type JobKind } from '../../shared/jobs.js';
import type { WaitingFor } from '../../contract/index.js';
import { type MaybeWaiting, waitingFor } from '../../db/job/waitingFor.js';
import type { HttpDeps } from './deps.js';
import { toWaitingFor } from './views/parts.js';

/** A job's row, of any kind; change lists are awaited by backups only. */
type JobRow = Omit<MaybeWaiting, 'kind' | 'awaitsExtentsUntil'> & { awaitsExtentsUntil?: Date | null };

/** Looks for what each of some jobs waits, all at once. @returns what to add to the view of a job by its id: nothing once it has ended */
export async function lookForWaiting(
  { ds }: Pick<HttpDeps, 'ds'>,
  kind: JobKind,
  rows: readonly JobRow[],
): Promise<(id: string) => { waiting_for?: WaitingFor | null }> {
  const jobs = rows.map((row) => ({ ...row, kind, awaitsExtentsUntil: row.awaitsExtentsUntil ?? null }));
  const found = await waitingFor(ds, jobs);
  const open = new Set(jobs.filter(({ status }) => isOpen(status)).map(({ id }) => id));
  return (id) => (open.has(id) ? { waiting_for: toWaitingFor(found.get(id)) } : {});
}
