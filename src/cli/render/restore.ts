import type { Restore } from '../../client/index.js';
import { formatBytes } from './bytes.js';

/** Ranges that are printed; `--json` has those of the result. */
const MOST_RANGES = 50;

/** `, verified` where the content was read back and is what was backed up. */
export function renderProof(result: Restore['result']): string {
  return result?.['verified'] === true ? ', verified' : '';
}

/** What of a restored disk is wrong, line by line; empty where nothing is, or nothing was allowed to be. */
export function renderDamage(result: Restore['result']): string {
  if (!result?.['damage'] || result['verified'] === true) return '';
  // The API gives a job's result without a schema; it is that of the service (RestoredDamage).
  const { ranges, bytes, more } = result['damage'] as {
    ranges: { offset: number; length: number }[] | null;
    bytes: number | null;
    more: boolean;
  };
  if (ranges === null) {
    return 'It is NOT what was backed up, and where it is wrong is unknown: a digest index of the chain cannot be used.\n';
  }
  const lines = ranges
    .slice(0, MOST_RANGES)
    .map(({ offset, length }) => `  offset ${offset} length ${length}`);
  const rest = more || ranges.length > MOST_RANGES ? ['  and more: see --json'] : [];
  const what = `It is NOT what was backed up in ${ranges.length}${more ? ' and more' : ''} ranges, ${formatBytes(bytes)} in all:`;
  return `${[what, ...lines, ...rest].join('\n')}\n`;
}
