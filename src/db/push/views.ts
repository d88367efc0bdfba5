import type { JobStatus } from '../../shared/jobs.js';
import type { DataSource, EntityManager } from 'typeorm';
import type { BackupType, PushOffer, PushState, RequestedType } from '../../entities/index.js';
import { StrataError } from '../../shared/errors.js';
import { parseJson } from '../job/journal.js';
import { inTransaction } from '../transaction.js';
import { select } from '../page.js';

/** What is known of a backup that an agent speaks of. */
export interface PushFacts {
  id: string;
  status: JobStatus;
  cancelRequested: boolean;
  diskId: number;
  requestedType: RequestedType;
  /** Of the request; of the commit, once it is completed. */
  changeId: string | null;
  /** Undefined for a backup that no agent pushes. */
  push: PushRow | undefined;
}

export interface PushRow {
  state: PushState;
  attempt: number;
  /** The export that agents may write to now; undefined while there is none. */
  open: (PushOffer & { openedAt: Date }) | undefined;
  /** What the backup became, while it is open. */
  backupType: BackupType | undefined;
  /** Number of the newest completion call, and of the last that was decided, with the code of its refusal. */
  asked: number;
  answered: number;
  verdict: string | null;
  /** Of the newest completion call. */
  changeId: string | null;
  failedReason: string | null;
}

interface Row {
  id: string;
  status: JobStatus;
  cancel_requested: number;
  disk_id: number;
  requested_type: RequestedType;
  job_change_id: string | null;
  state: PushState | null;
  attempt: number;
  offer: unknown;
  opened_at: Date;
  live: number;
  asked: number;
  answered: number;
  verdict: string | null;
  change_id: string | null;
  failed_reason: string | null;
}

/** An export is live as long as the lease under which it was opened is held: by fence and holder, not by a clock. */
const SELECT = `SELECT j.id, j.status, j.cancel_requested, j.disk_id, j.requested_type, j.change_id AS job_change_id,
    p.state, p.attempt, p.offer, p.opened_at, p.asked, p.answered, p.verdict, p.change_id, p.failed_reason,
    (p.state = 'open' AND j.status = 'running' AND c.fence = p.fence AND c.lease_job_id <=> j.id) AS live
  FROM backup_jobs j JOIN backup_chains c ON c.id = j.chain_id
  LEFT JOIN push_exports p ON p.backup_id = j.id WHERE j.id = ?`;

/** @throws not_found */
export async function readPush(ds: DataSource | EntityManager, backupId: string): Promise<PushFacts> {
  const [row] = await select<Row>(ds, SELECT, [backupId]);
  if (!row) throw new StrataError('not_found', `There is no backup ${backupId}.`);
  return {
    id: row.id,
    status: row.status,
    cancelRequested: Number(row.cancel_requested) === 1,
    diskId: row.disk_id,
    requestedType: row.requested_type,
    changeId: row.job_change_id,
    push: row.state === null ? undefined : toPushRow(row, row.state),
  };
}

function toPushRow(row: Row, state: PushState): PushRow {
  const offer = Number(row.live) === 1 ? parseJson<PushOffer>(row.offer) : undefined;
  return {
    state,
    attempt: row.attempt,
    open: offer && { ...offer, openedAt: row.opened_at },
    backupType: offer?.backup_type,
    asked: row.asked,
    answered: row.answered,
    verdict: row.verdict,
    changeId: row.change_id,
    failedReason: row.failed_reason,
  };
}

/** What an agent has said, as it is written. */
export type PushChange =
  | { kind: 'none' }
  | { kind: 'ask'; changeId: string | null; bytesTransferred: number }
  | { kind: 'progress'; bytesDone: number; bytesTotal: number | null }
  | { kind: 'fail'; reason: string };

/**
 * Decides on what an agent says, and writes it, with nobody else writing meanwhile.
 * @returns what was known before
 * @throws not_found, and what `decide` throws; then nothing is written
 */
export async function changePush(
  ds: DataSource,
  backupId: string,
  decide: (facts: PushFacts) => PushChange,
): Promise<PushFacts> {
  return inTransaction(ds, async (tx) => {
    await tx.query('SELECT backup_id FROM push_exports WHERE backup_id = ? FOR UPDATE', [backupId]);
    const facts = await readPush(tx, backupId);
    await write(tx, backupId, decide(facts));
    return facts;
  });
}

async function write(tx: EntityManager, backupId: string, change: PushChange): Promise<void> {
  const set = (text: string, ...values: unknown[]) =>
    tx.query(`UPDATE push_exports SET ${text} WHERE backup_id = ?`, [...values, backupId]);
  switch (change.kind) {
    case 'none':
      return;
    case 'ask':
      await set(
        'asked = asked + 1, change_id = ?, bytes_transferred = ?',
        change.changeId,
        change.bytesTransferred,
      );
      return;
    case 'progress':
      await set(
        'telemetry = telemetry + 1, bytes_done = ?, bytes_total = ?',
        change.bytesDone,
        change.bytesTotal,
      );
      return;
    case 'fail':
      await set('failed_reason = ?', change.reason);
  }
}
