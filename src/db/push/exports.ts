import type { DataSource } from 'typeorm';
import type { PushOffer } from '../../entities/index.js';
import type { ErrorCode } from '../../shared/errorCodes.js';
import { StrataError } from '../../shared/errors.js';
import { asking } from '../transaction.js';
import { fencedChange } from '../job/fenced.js';
import { insertStep } from '../job/journal.js';
import { type ChainLease, leaseLost } from '../job/lease.js';

/** A completion call that nobody has decided on yet. */
export interface AskedCompletion {
  /** Its number. */
  seq: number;
  changeId: string | null;
  /** As the agent counts. */
  bytesTransferred: number;
}

/** What the agent of a pushed backup has said, as far as the worker does not know it yet. */
export interface AgentReport {
  asked: AskedCompletion | undefined;
  failedReason: string | null;
  /** Grows with every report of progress. */
  telemetry: number;
  bytesDone: number | null;
  bytesTotal: number | null;
}

/**
 * Tells agents of a new export: from now on they may write, and what was said of earlier ones counts no more.
 * @returns its number, 1 for the first export of the backup
 * @throws lease_lost; push_agent_failed when the agent has given up before
 */
export async function announceExport(ds: DataSource, lease: ChainLease, offer: PushOffer): Promise<number> {
  return fencedChange(ds, lease, async (tx) => {
    const rows = await tx.query<{ attempt: number; failed_reason: string | null }[]>(
      'SELECT attempt, failed_reason FROM push_exports WHERE backup_id = ? FOR UPDATE',
      [lease.jobId],
    );
    const row = rows[0];
    if (!row) throw new StrataError('internal', `Backup ${lease.jobId} is not one that an agent pushes.`);
    if (row.failed_reason !== null) throw agentFailed(row.failed_reason);
    await tx.query(
      `UPDATE push_exports SET state = 'open', attempt = attempt + 1, fence = ?, offer = ?, opened_at = UTC_TIMESTAMP(3),
              telemetry = 0, bytes_done = NULL, bytes_total = NULL, answered = asked, verdict = 'push_attempt_over',
              change_id = NULL, bytes_transferred = NULL
       WHERE backup_id = ?`,
      [lease.fence, JSON.stringify(offer), lease.jobId],
    );
    return row.attempt + 1;
  });
}

/**
 * What the agent has said of the export that this lease has opened, or before it.
 * @throws lease_lost when a newer export was opened
 */
export async function readReport(ds: DataSource, lease: ChainLease): Promise<AgentReport> {
  const rows = await asking(() =>
    ds.query<ReportRow[]>(
      `SELECT asked, answered, change_id, bytes_transferred, failed_reason, telemetry, bytes_done, bytes_total
       FROM push_exports WHERE backup_id = ? AND (fence IS NULL OR fence <= ?)`,
      [lease.jobId, lease.fence],
    ),
  );
  const row = rows[0];
  if (!row) throw leaseLost(lease, 'renewal');
  const pending = row.asked > row.answered;
  return {
    asked: pending
      ? { seq: row.asked, changeId: row.change_id, bytesTransferred: Number(row.bytes_transferred) }
      : undefined,
    failedReason: row.failed_reason,
    telemetry: row.telemetry,
    bytesDone: row.bytes_done === null ? null : Number(row.bytes_done),
    bytesTotal: row.bytes_total === null ? null : Number(row.bytes_total),
  };
}

interface ReportRow {
  asked: number;
  answered: number;
  change_id: string | null;
  bytes_transferred: string | null;
  failed_reason: string | null;
  telemetry: number;
  bytes_done: string | null;
  bytes_total: string | null;
}

/** Refuses a completion with a code; the export goes on. Without effect when a newer call has come meanwhile. */
export async function refuseCompletion(
  ds: DataSource,
  lease: ChainLease,
  seq: number,
  code: ErrorCode,
): Promise<void> {
  await asking(() =>
    ds.query(
      'UPDATE push_exports SET answered = ?, verdict = ? WHERE backup_id = ? AND fence = ? AND asked = ?',
      [seq, code, lease.jobId, lease.fence, seq],
    ),
  );
}

/**
 * Accepts a completion, together with the step of the journal by which any later attempt finds what was written. Called
 * when that is on stable storage and nobody can write any more: the agent may go.
 * @throws lease_lost; push_agent_failed when the agent has taken it back
 */
export async function acceptCompletion(
  ds: DataSource,
  lease: ChainLease,
  seq: number,
  step: { name: string; data: Record<string, unknown> },
): Promise<void> {
  // Under the chain's lock: whoever takes the chain next either finds the step, or this fails.
  await fencedChange(ds, lease, async (tx) => {
    const rows = await tx.query<{ failed_reason: string | null }[]>(
      'SELECT failed_reason FROM push_exports WHERE backup_id = ? AND fence = ? FOR UPDATE',
      [lease.jobId, lease.fence],
    );
    const row = rows[0];
    if (!row) throw leaseLost(lease, 'commit');
    if (row.failed_reason !== null) throw agentFailed(row.failed_reason);
    await tx.query(
      `UPDATE push_exports SET state = 'accepted', offer = NULL, answered = ?, verdict = NULL WHERE backup_id = ?`,
      [seq, lease.jobId],
    );
    await insertStep(tx, lease, step.name, 'done', step.data);
  });
}

/** Takes an export of this lease back. Nothing for one that is accepted, or newer. */
export async function withdrawExport(ds: DataSource, lease: ChainLease): Promise<void> {
  await asking(() =>
    ds.query(
      `UPDATE push_exports SET state = 'waiting', offer = NULL WHERE backup_id = ? AND fence = ? AND state = 'open'`,
      [lease.jobId, lease.fence],
    ),
  );
}

export function agentFailed(reason: string): StrataError {
  return new StrataError('push_agent_failed', `The agent says: ${reason}`);
}
