import { agentFailed, type AgentReport, type AskedCompletion } from '../../../db/push/exports.js';
import type { BackupType } from '../../../entities/index.js';
import { StrataError } from '../../../shared/errors.js';

/** An export and its agent at one moment. */
export interface PushMoment {
  report: AgentReport;
  /** Connections that are inside, and whether there ever was one. */
  inside: number;
  entered: boolean;
  type: BackupType;
  /** Since a byte was moved or a call came; from the opening, where nothing has come yet. */
  silentMs: number;
  mostSilentMs: number;
}

export type PushDecision =
  | { kind: 'wait' }
  | { kind: 'finish'; asked: AskedCompletion }
  | { kind: 'refuse'; seq: number; code: 'push_connected' | 'push_nothing_written' }
  | { kind: 'fail'; error: StrataError };

/** Decides what happens with an export now. Pure. */
export function judgePush(moment: PushMoment): PushDecision {
  const { report, silentMs, mostSilentMs } = moment;
  if (report.failedReason !== null) return { kind: 'fail', error: agentFailed(report.failedReason) };
  if (report.asked) return judgeCompletion(moment, report.asked);
  if (silentMs < mostSilentMs) return { kind: 'wait' };
  const what = moment.entered ? 'moved no byte' : 'did not connect';
  const error = new StrataError(
    'push_agent_silent',
    `The agent ${what} and reported nothing for ${mostSilentMs} ms (STRATA_PUSH_SILENCE_MS).`,
  );
  return { kind: 'fail', error };
}

function judgeCompletion({ inside, entered, type }: PushMoment, asked: AskedCompletion): PushDecision {
  if (inside > 0) return { kind: 'refuse', seq: asked.seq, code: 'push_connected' };
  // Nothing changed, nothing written: that is an increment. But a full of which nothing was written is a mistake, and so
  // is anything that was written to some other export.
  if (!entered && (type === 'full' || asked.bytesTransferred > 0)) {
    return { kind: 'refuse', seq: asked.seq, code: 'push_nothing_written' };
  }
  return { kind: 'finish', asked };
}
