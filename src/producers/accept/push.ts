import { isOpen } from '../../shared/jobs.js';
import type { PushAnswer, PushComplete, PushFail, PushProgress } from '../../contract/index.js';
import { changePush, type PushFacts, type PushRow, readPush } from '../../db/push/views.js';
import {
  heedVerdict,
  judgeCall,
  judgeFailure,
  judgeProgress,
} from '../../services/backup/push/agentCalls.js';
import { StrataError } from '../../shared/errors.js';
import { checkChangeId } from './checkListed.js';
import type { AcceptDeps } from './deps.js';

/** How long a completion call waits for the worker, in ms: it looks every 0.3 s, and a last flush may take a while. */
const VERDICT_MS = 20_000;
const LOOK_MS = 100;

/** Who calls: `signal` aborts when nobody waits for the answer any more. */
export interface PushCall {
  backupId: string;
  signal: AbortSignal;
}

/**
 * An agent is done: asks the worker, which alone knows whether somebody is still connected, and waits for its decision.
 * The answer comes when everything written is on stable storage; it is the same, however often the call is repeated.
 * @throws push_unanswered when the worker takes longer: the question stands, and the same call finds the answer
 * @throws not_found, wrong_state, push_*: nothing has changed
 */
export async function completePush(
  deps: AcceptDeps,
  { backupId, signal }: PushCall,
  body: PushComplete,
): Promise<PushAnswer> {
  const call = {
    diskId: body.disk_id,
    changeId: body.change_id ?? undefined,
    bytesTransferred: body.bytes_transferred,
    attempt: body.attempt,
    backupType: body.backup_type,
  };
  checkChangeId(call.changeId, 'change_id');
  let asked = 0;
  await changePush(deps.ds, backupId, (facts) => {
    const judged = judgeCall(facts, call);
    asked = facts.push?.asked ?? 0;
    if (judged.kind !== 'ask') return { kind: 'none' };
    asked += 1;
    return { ...judged, bytesTransferred: call.bytesTransferred };
  });
  const until = deps.clock.monotonicMs() + VERDICT_MS;
  for (;;) {
    const facts = await readPush(deps.ds, backupId);
    heedVerdict(facts, asked);
    if (judgeCall(facts, call).kind === 'accepted') return answerOf(facts);
    if (signal.aborted || deps.clock.monotonicMs() >= until) throw unanswered(backupId);
    await deps.clock.sleep(LOOK_MS);
  }
}

/** An agent is alive, and this far. @throws not_found, wrong_state, push_not_open, push_attempt_over */
export async function reportPush(
  deps: AcceptDeps,
  backupId: string,
  body: PushProgress,
): Promise<PushAnswer> {
  const facts = await changePush(deps.ds, backupId, (known) => ({
    ...judgeProgress(known, body.attempt),
    bytesDone: body.bytes_done,
    bytesTotal: body.bytes_total ?? null,
  }));
  return answerOf(facts);
}

/** An agent has failed, and its backup does, as soon as a worker sees it. @throws not_found, wrong_state, push_attempt_over */
export async function failPush(deps: AcceptDeps, backupId: string, body: PushFail): Promise<PushAnswer> {
  const facts = await changePush(deps.ds, backupId, (known) => ({
    ...judgeFailure(known, body.attempt),
    reason: body.reason,
  }));
  return answerOf(facts);
}

export type OpenExport = NonNullable<PushRow['open']> & { attempt: number };

/**
 * The export of a backup that agents may write to now. Waits for it at most `waitMs`, and not at all where none can come.
 * @returns null while there is none, undefined for a backup that no agent pushes
 * @throws not_found
 */
export async function awaitExport(
  deps: AcceptDeps,
  { backupId, signal }: PushCall,
  waitMs: number,
): Promise<OpenExport | null | undefined> {
  const until = deps.clock.monotonicMs() + waitMs;
  for (;;) {
    const { push, status } = await readPush(deps.ds, backupId);
    if (!push) return undefined;
    if (push.open) return { ...push.open, attempt: push.attempt };
    const mayCome = push.state !== 'accepted' && isOpen(status);
    if (!mayCome || signal.aborted || deps.clock.monotonicMs() >= until) return null;
    await deps.clock.sleep(LOOK_MS);
  }
}

function answerOf({ id, status, push, cancelRequested }: PushFacts): PushAnswer {
  const { state, attempt } = push ?? { state: 'waiting' as const, attempt: 0 };
  return { id, status, state, attempt, cancel_requested: cancelRequested };
}

function unanswered(backupId: string): StrataError {
  return new StrataError('push_unanswered', `The worker of backup ${backupId} has not decided yet.`);
}
