import type { Extent } from '../contract/index.js';

const LINES_PER_PIECE = 4096;

/** A change list as the API takes it: a line each, and one at the end that says how many there were. */
export async function* extentLines(
  extents: Iterable<Extent> | AsyncIterable<Extent>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const encoder = new TextEncoder();
  let lines: string[] = [];
  let count = 0;
  for await (const { offset, length } of extents) {
    lines.push(`${offset} ${length}\n`);
    count++;
    if (lines.length < LINES_PER_PIECE) continue;
    yield encoder.encode(lines.join(''));
    lines = [];
  }
  lines.push(`end ${count}\n`);
  yield encoder.encode(lines.join(''));
}
