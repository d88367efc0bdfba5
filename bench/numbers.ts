/** The middle value; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const above = sorted[Math.floor(sorted.length / 2)];
  const below = sorted[Math.ceil(sorted.length / 2) - 1];
  if (above === undefined || below === undefined)
    throw new RangeError('There is nothing to take the median of.');
  return (above + below) / 2;
}

/** The element whose value is nearest to the median of all. */
export function typical<T>(items: readonly T[], valueOf: (item: T) => number): T {
  const middle = median(items.map(valueOf));
  const away = (item: T) => Math.abs(valueOf(item) - middle);
  return items.reduce((best, item) => (away(item) < away(best) ? item : best));
}
