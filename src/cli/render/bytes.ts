const UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/**
 * A size for a person: `512 B`, `64.0 KiB`, `1.5 GiB`; for a script, with `exact`, the number alone.
 * @param bytes null and undefined are an unknown size: `-`
 */
export function formatBytes(bytes: number | null | undefined, exact = false): string {
  if (bytes === null || bytes === undefined) return '-';
  if (exact) return String(bytes);
  if (Math.abs(bytes) < 1024) return `${bytes} B`;
  let value = bytes;
  let unit: string = UNITS[0];
  for (const next of UNITS) {
    value /= 1024;
    unit = next;
    // 1023.95 and more would be shown as 1024.0.
    if (Math.abs(value) < 1023.95) break;
  }
  return `${value.toFixed(1)} ${unit}`;
}

/** Bytes per second: `118.2 MiB/s`. */
export function formatRate(bytesPerSecond: number | null | undefined, exact = false): string {
  if (bytesPerSecond === null || bytesPerSecond === undefined) return '-';
  return `${formatBytes(Math.round(bytesPerSecond), exact)}${exact ? '' : '/s'}`;
}

/** A share of a whole: `46.7 %`; `-` of nothing. */
export function formatShare(part: number, whole: number): string {
  return whole === 0 ? '-' : `${((part / whole) * 100).toFixed(1)} %`;
}
