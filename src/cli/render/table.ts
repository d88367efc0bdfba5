import { printable } from './printable.js';

export interface Column<Row> {
  title: string;
  value: (row: Row) => string | number | null | undefined;
  /** Numbers and sizes stand at the right. */
  align?: 'right';
}

/**
 * Draws rows as an aligned table with a line of titles; `empty` when there is nothing to show. Absent values are `-`.
 * Control characters in values are made visible: names come from outside, and a terminal obeys them.
 */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  empty: string,
): string {
  if (rows.length === 0) return `${empty}\n`;
  const cells = rows.map((row) => columns.map((column) => cellText(column.value(row))));
  const lines = [columns.map(({ title }) => title), ...cells];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => width(line[index] ?? ''))));
  return lines
    .map((line) => {
      const padded = line.map((text, index) => pad(text, widths[index] ?? 0, columns[index]?.align));
      return `${padded.join('  ').trimEnd()}\n`;
    })
    .join('');
}

/** Draws one object as `name  value` lines. */
export function renderFields(
  fields: readonly (readonly [string, string | number | null | undefined])[],
): string {
  const widest = Math.max(...fields.map(([name]) => width(name)));
  return fields.map(([name, value]) => `${pad(name, widest, undefined)}  ${cellText(value)}\n`).join('');
}

function cellText(value: string | number | null | undefined): string {
  return value === null || value === undefined || value === '' ? '-' : printable(String(value));
}

function pad(text: string, columns: number, align: 'right' | undefined): string {
  const blanks = ' '.repeat(Math.max(0, columns - width(text)));
  return align === 'right' ? blanks + text : text + blanks;
}

/** Characters, not UTF-16 units. East Asian wide characters are taken for one column. */
function width(text: string): number {
  return [...text].length;
}
