/** The cells of a Markdown table's row, trimmed. */
export const cellsOf = (row: string): string[] =>
  row
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());

/**
 * The rows of the first table below a line that begins with `start`, its head included.
 * @throws where there is no such line
 */
export function tableBelow(text: string, start: string): string[][] {
  const lines = text.split('\n');
  const from = lines.findIndex((line) => line.startsWith(start));
  if (from < 0) throw new Error(`No line begins with "${start}".`);
  const first = lines.findIndex((line, index) => index >= from && line.startsWith('|'));
  const length = lines.slice(first).findIndex((line) => !line.startsWith('|'));
  return lines
    .slice(first, length < 0 ? undefined : first + length)
    .filter((line) => !/^\|[-| ]+\|$/.test(line))
    .map(cellsOf);
}

/** The name in backticks that a cell begins with. */
export const nameIn = (cell: string): string => /^`([^`]+)`/.exec(cell)?.[1] ?? '';

/** The targets of all links to files, without what follows `#`. */
export const linksIn = (text: string): string[] =>
  [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
