import { formatBytes, formatRate } from './bytes.js';
import { printable } from './printable.js';
import { formatSeconds } from './time.js';

/** How far a job is; as in the API. */
export interface ProgressFacts {
  phase: string;
  bytes_done: number;
  bytes_total: number | null;
  /** Bytes per second. */
  rate: number | null;
  eta_seconds: number | null;
}

const BAR_COLUMNS = 24;
const PHASE_COLUMNS = 12;

/** A bar for a terminal: label, phase, bar, percent, amounts, rate, time left. Never wider than `columns`. */
export function renderBar(label: string, progress: ProgressFacts, columns: number): string {
  const share = shareDone(progress);
  const filled = share === null ? 0 : Math.round(share * BAR_COLUMNS);
  const bar = `[${'█'.repeat(filled)}${'░'.repeat(BAR_COLUMNS - filled)}]`;
  const line = `${printable(label)}  ${printable(progress.phase).padEnd(PHASE_COLUMNS)} ${bar} ${amounts(progress)}`;
  // The last column stays free: some terminals wrap when it is written.
  return [...line].slice(0, Math.max(0, columns - 1)).join('');
}

/** The same facts as a line of a log. */
export function renderPlain(label: string, progress: ProgressFacts): string {
  return `${printable(label)}  ${printable(progress.phase)} ${amounts(progress)}`;
}

/** Of a job that does not run. */
export function renderWait(label: string, why: string): string {
  return `${printable(label)}  waiting: ${why}`;
}

/** 0 to 1, or null when the total is unknown. */
export function shareDone({ bytes_done, bytes_total }: ProgressFacts): number | null {
  if (bytes_total === null) return null;
  if (bytes_total === 0) return 1;
  return Math.min(1, Math.max(0, bytes_done / bytes_total));
}

function amounts(progress: ProgressFacts): string {
  const share = shareDone(progress);
  const parts = [
    ...(share === null ? [] : [`${(share * 100).toFixed(1).padStart(5)} %`]),
    progress.bytes_total === null
      ? formatBytes(progress.bytes_done)
      : `${formatBytes(progress.bytes_done)} of ${formatBytes(progress.bytes_total)}`,
    ...(progress.rate === null ? [] : [formatRate(progress.rate)]),
    ...(progress.eta_seconds === null ? [] : [`eta ${formatSeconds(progress.eta_seconds)}`]),
  ];
  return parts.join('  ');
}
