import type { KnownDamage } from '../../shared/knownDamage.js';
import { formatBytes } from './bytes.js';
import { printable } from './printable.js';

/** What is known of a damaged backup, as lines below its error; none where no ranges are known. */
export function renderKnownDamage({ located, count, bytes, ranges }: KnownDamage): string[] {
  if (count === 0) return [];
  const lines = ranges.map(({ offset, length, in_backup, unreadable }) =>
    printable(`${offset} ${length} in ${in_backup}${unreadable ? ', unreadable' : ''}`),
  );
  const more = count - ranges.length;
  return [
    `  damaged ranges: ${count}, ${formatBytes(bytes)} in all${located ? '' : ', and perhaps more'} (offset, length in bytes):`,
    ...lines.map((line) => `    ${line}`),
    ...(more > 0 ? [`    and ${more} more: strata validate tells all`] : []),
  ];
}
