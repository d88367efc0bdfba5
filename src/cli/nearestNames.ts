/** Names that are proposed at most. */
const MOST = 3;

/** The names that somebody may have meant: those that are few letters away, or begin or end alike; the nearest first. */
export function nearestNames(meant: string, names: readonly string[]): string[] {
  const wanted = fold(meant);
  const farthest = Math.max(1, Math.floor(wanted.length / 3));
  return [...new Set(names)]
    .map((name) => ({ name, far: distance(wanted, fold(name), farthest) }))
    .filter(({ far }) => far <= farthest)
    .sort((a, b) => a.far - b.far || (a.name < b.name ? -1 : 1))
    .slice(0, MOST)
    .map(({ name }) => name);
}

/** Case, accents and blanks at the ends are what people get wrong first. */
function fold(name: string): string {
  return name.normalize('NFKD').replace(/\p{M}/gu, '').trim().toLowerCase();
}

/** Levenshtein's distance; 0 where one is the beginning or end of the other, Infinity where it cannot be within `farthest`. */
function distance(a: string, b: string, farthest: number): number {
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  if (short.length >= 3 && (long.startsWith(short) || long.endsWith(short))) return 0;
  if (long.length - short.length > farthest) return Number.POSITIVE_INFINITY;
  let row = Array.from({ length: short.length + 1 }, (_, index) => index);
  for (const [line, letter] of [...long].entries()) {
    const next = [line + 1];
    for (let at = 0; at < short.length; at++) {
      const same = short[at] === letter ? 0 : 1;
      next.push(Math.min((row[at] ?? 0) + same, (row[at + 1] ?? 0) + 1, (next[at] ?? 0) + 1));
    }
    row = next;
  }
  return row[short.length] ?? 0;
}
