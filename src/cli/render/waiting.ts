import type { WaitingFor } from '../../client/index.js';
import { printable } from './printable.js';
import { formatTime } from './time.js';

/** For what or whom a job waits, in a sentence. */
export function waitingText({ detail }: WaitingFor): string {
  return printable(detail);
}

/** The same for a table: a word, and the job in front. */
export function waitingWord(waiting: WaitingFor | null | undefined): string | null {
  if (!waiting) return null;
  return waiting.job_id === null ? waiting.reason.replace('_', ' ') : `job ${waiting.job_id}`;
}

/** The same with the time of the next try. */
export function waitingField(waiting: WaitingFor | null | undefined): string | null {
  if (!waiting) return null;
  const until = waiting.until === null ? '' : ` (until ${formatTime(waiting.until)})`;
  return `${waitingText(waiting)}${until}`;
}
