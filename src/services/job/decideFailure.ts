import { LONGEST_DELAY_MS } from '../../db/job/kinds.js';
import { ERRORS, type ErrorCode } from '../../shared/errorCodes.js';
import type { StrataError } from '../../shared/errors.js';

/** What becomes of a job whose work has thrown. */
export type FailureDecision =
  /** Write nothing: another worker has the chain by now, or the database cannot be asked; the keeper settles it. */
  | { action: 'abandon' }
  /** Behind all that wait for the chain. */
  | { action: 'yield' }
  | { action: 'end'; status: 'failed' | 'cancelled' }
  | { action: 'again'; delayMs: number; keepAttempt: boolean };

export interface FailureFacts {
  error: StrataError;
  /** 1 for the first attempt. */
  attempt: number;
  maxAttempts: number;
  /** Milliseconds since its first attempt began. */
  ageMs: number;
  /** The same, after which it must have ended: no pause is longer than what is left. */
  deadlineMs: number;
}

const FIRST_BACKOFF_MS = 2_000;
const LONGEST_BACKOFF_MS = 60_000;
/** A job that waits asks ever more rarely: a full that does not fit must not fill the repository every few seconds. */
const SHORTEST_WAIT_MS = 15_000;
/** What ends at any moment and is cheap to ask for: a port, an agent, a backup that goes first, another job at the same device. */
const SHORT_WAIT_MS = 5_000;
const SHORT_WAITS: readonly ErrorCode[] = [
  'push_ports_exhausted',
  'push_agent_awaited',
  'backup_goes_first',
  'resource_busy',
];

/** Pure: from an error to what the queue does with its job. */
export function decideFailure(facts: FailureFacts): FailureDecision {
  const { error, attempt, maxAttempts, ageMs, deadlineMs } = facts;
  const leftMs = Math.max(0, deadlineMs - ageMs);
  switch (error.code) {
    case 'lease_lost':
    case 'database_unavailable':
      return { action: 'abandon' };
    case 'cancelled':
      return { action: 'end', status: 'cancelled' };
    case 'chain_wanted':
      return { action: 'yield' };
    case 'shutting_down':
      return { action: 'again', delayMs: 0, keepAttempt: false };
    default:
      break;
  }
  switch (ERRORS[error.code].outcome) {
    case 'give_up':
      return { action: 'end', status: 'failed' };
    case 'wait':
      if (leftMs === 0) return { action: 'end', status: 'failed' };
      return {
        action: 'again',
        delayMs: Math.min(waitMs(error.code, ageMs), leftMs),
        keepAttempt: false,
      };
    case 'retry': {
      if (attempt >= maxAttempts) return { action: 'end', status: 'failed' };
      const delayMs = Math.min(FIRST_BACKOFF_MS * 2 ** (attempt - 1), LONGEST_BACKOFF_MS, leftMs);
      return { action: 'again', delayMs, keepAttempt: true };
    }
  }
}

function waitMs(code: ErrorCode, ageMs: number): number {
  if (SHORT_WAITS.includes(code)) return SHORT_WAIT_MS;
  return Math.min(Math.max(SHORTEST_WAIT_MS, ageMs / 4), LONGEST_DELAY_MS);
}
