import { type ExtentListReader, LONGEST_ENTRY, malformed, type TakeExtent } from './types.js';

const NUMBER = '(0|[1-9][0-9]{0,15})';
const BLANK = '[ \\t\\r\\n]*';
const property = (name: string) => `"${name}"${BLANK}:${BLANK}${NUMBER}${BLANK}`;
const either = (first: string, second: string) => `${property(first)},${BLANK}${property(second)}`;
/** One entry with what follows it: a comma, or the end of the list. */
const ENTRY = new RegExp(
  `${BLANK}\\{${BLANK}(?:${either('offset', 'length')}|${either('length', 'offset')})\\}${BLANK}([,\\]])`,
  'y',
);
const OPENING = /^[ \t\r\n]*\[/;
const EMPTY = /^[ \t\r\n]*\]/;

/** A JSON array of `{"offset": ..., "length": ...}`, read without being held: JSON.parse would take a GiB for 5M of them. */
export function createJsonReader(take: TakeExtent): ExtentListReader {
  const pattern = new RegExp(ENTRY);
  let rest = '';
  let index = 0;
  let state: 'before' | 'within' | 'after' = 'before';
  const bad = () => malformed(`[${index}]`, 'The list is a JSON array of {"offset", "length"}, whole bytes.');
  const skip = (mark: RegExp, next: typeof state) => {
    const match = mark.exec(rest);
    if (!match) return;
    rest = rest.slice(match[0].length);
    state = next;
  };
  const readEntries = () => {
    pattern.lastIndex = 0;
    let read = 0;
    while (state === 'within') {
      const match = pattern.exec(rest);
      if (!match) break;
      const [, offset, length, turnedLength, turnedOffset, mark] = match;
      take({ offset: Number(offset ?? turnedOffset), length: Number(length ?? turnedLength) }, `[${index}]`);
      index++;
      read = pattern.lastIndex;
      if (mark === ']') state = 'after';
    }
    rest = rest.slice(read);
  };
  return {
    push(bytes) {
      rest += bytes.toString('latin1');
      if (state === 'before') skip(OPENING, 'within');
      // No comma may stand before the end of the list.
      if (state === 'within' && index === 0) skip(EMPTY, 'after');
      if (state === 'within') readEntries();
      if (state === 'after') skip(/^[ \t\r\n]*/, 'after');
      if (rest.length > LONGEST_ENTRY || (state === 'after' && rest !== '')) throw bad();
    },
    end() {
      if (state !== 'after') throw bad();
    },
  };
}
