import type { BackupType } from '../../../entities/index.js';
import { type ErrorCode, isErrorCode } from '../../../shared/errorCodes.js';
import { StrataError } from '../../../shared/errors.js';
import type { PushFacts, PushRow } from '../../../db/push/views.js';

/** An agent's completion call. */
export interface Completion {
  diskId: number;
  /** Undefined: the one of the request, if it has any. */
  changeId: string | undefined;
  bytesTransferred: number;
  attempt: number | undefined;
  backupType: BackupType | undefined;
}

export type CompletionJudgement =
  /** Now, or before: the same call again changes nothing. */
  | { kind: 'accepted' }
  /** The worker has to decide. */
  | { kind: 'ask'; changeId: string | null }
  /** The same call is being decided on. */
  | { kind: 'wait' };

/**
 * What becomes of a completion call, as far as the row tells; whether somebody is still connected, only the worker
 * knows. Pure.
 * @throws wrong_state, push_*
 */
export function judgeCall(facts: PushFacts, call: Completion): CompletionJudgement {
  const push = pushOf(facts);
  if (call.diskId !== facts.diskId) {
    throw new StrataError('push_wrong_disk', `Backup ${facts.id} is of disk ${facts.diskId}.`, {
      field: 'disk_id',
    });
  }
  if (facts.status === 'completed' || facts.status === 'expired') {
    sameChangeId(call, facts.changeId);
    return { kind: 'accepted' };
  }
  stillWanted(facts, push);
  ofThisAttempt(push, call.attempt);
  if (push.state === 'accepted') {
    sameChangeId(call, push.changeId);
    return { kind: 'accepted' };
  }
  if (!push.open || !push.backupType) throw notOpen(facts);
  if (facts.changeId !== null) sameChangeId(call, facts.changeId);
  checkType(facts, push.backupType, call.backupType);
  const changeId = call.changeId ?? facts.changeId;
  if (push.asked === push.answered) return { kind: 'ask', changeId };
  sameChangeId(call, push.changeId);
  return { kind: 'wait' };
}

/**
 * What the worker has said to the call with this number; nothing if it has not decided yet, or accepted it.
 * @throws the refusal
 */
export function heedVerdict({ push }: PushFacts, asked: number): void {
  if (!push || push.state === 'accepted' || push.answered < asked || push.verdict === null) return;
  const code = isErrorCode(push.verdict) ? push.verdict : 'internal';
  throw new StrataError(code, REFUSALS[code] ?? `The worker refuses the completion: ${push.verdict}.`);
}

const REFUSALS: Partial<Record<ErrorCode, string>> = {
  push_connected: 'Connections to the export are open; close all of them, and call again.',
  push_nothing_written: 'Nobody has connected to this export; write to it, and call again.',
  push_attempt_over:
    'The export was closed before the completion was decided on; a new one wants everything again.',
};

/** Whether an agent's report of progress counts. @throws wrong_state, push_not_open, push_attempt_over */
export function judgeProgress(facts: PushFacts, attempt: number | undefined): { kind: 'progress' | 'none' } {
  const push = pushOf(facts);
  if (facts.status === 'completed') return { kind: 'none' };
  stillWanted(facts, push);
  ofThisAttempt(push, attempt);
  if (push.state === 'accepted') return { kind: 'none' };
  if (!push.open) throw notOpen(facts);
  return { kind: 'progress' };
}

/** Whether an agent's failure counts; one that is known already changes nothing. @throws wrong_state, push_attempt_over */
export function judgeFailure(facts: PushFacts, attempt: number | undefined): { kind: 'fail' | 'none' } {
  const push = pushOf(facts);
  if (push.failedReason !== null || facts.status === 'failed' || facts.status === 'cancelled')
    return { kind: 'none' };
  if (push.state === 'accepted' || facts.status === 'completed' || facts.status === 'expired') {
    throw new StrataError('wrong_state', `The completion of backup ${facts.id} has been accepted.`);
  }
  if (attempt !== undefined) ofThisAttempt(push, attempt);
  return { kind: 'fail' };
}

function pushOf(facts: PushFacts): PushRow {
  if (facts.push) return facts.push;
  throw new StrataError('wrong_state', `Backup ${facts.id} is not one that an agent pushes.`);
}

function stillWanted({ id, status }: PushFacts, { failedReason }: PushRow): void {
  if (failedReason !== null)
    throw new StrataError('wrong_state', `The agent has reported the failure of backup ${id}.`);
  if (status === 'failed' || status === 'cancelled')
    throw new StrataError('wrong_state', `Backup ${id} is ${status}.`);
}

/** Of an export that is over, nobody wants to hear: what was written to it is gone. */
function ofThisAttempt(push: PushRow, attempt: number | undefined): void {
  if (attempt === push.attempt || (attempt === undefined && push.attempt <= 1)) return;
  throw new StrataError(
    'push_attempt_over',
    attempt === undefined
      ? `The export was opened ${push.attempt} times: say which attempt is spoken of.`
      : `The export of attempt ${attempt} is over; the backup is at attempt ${push.attempt}.`,
    { field: 'attempt' },
  );
}

function notOpen({ id, status }: PushFacts): StrataError {
  return new StrataError('push_not_open', `Backup ${id} is ${status}, and no export is open for it now.`);
}

function sameChangeId({ changeId }: Completion, known: string | null): void {
  if (changeId === undefined || changeId === known) return;
  const before =
    known === null ? 'The backup was completed without one' : `It was given before as "${known}"`;
  throw new StrataError('push_change_id_differs', `The change id is another. ${before}.`, {
    field: 'change_id',
  });
}

/** An agent that does not know that its increment became a full would leave most of the disk empty. */
function checkType(facts: PushFacts, became: BackupType, written: BackupType | undefined): void {
  if (written === became || (written === undefined && became === facts.requestedType)) return;
  const reason = facts.push?.open?.demoted_reason ?? 'as planned';
  throw new StrataError(
    'push_type_differs',
    `The backup is a ${became} (${reason}): write what nbd_export asks for, and say so by backup_type.`,
    { field: 'backup_type' },
  );
}
