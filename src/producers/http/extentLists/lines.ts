import { type ExtentListReader, LONGEST_ENTRY, malformed, type TakeExtent } from './types.js';

const LINE = /[ \t\r,]*(?:(\d{1,16})[ \t,]+(\d{1,16})|end[ \t]+(\d{1,16})|#[^\n]*)?[ \t\r,]*\n/y;
const SYNTAX = 'A line is "offset length", in bytes; the last one may be "end COUNT".';

/**
 * Lines of `offset length` in bytes; empty lines and those that begin with # are passed over. A program that dies in the
 * middle of a list looks like one that has come to its end, so the last line must have its line feed, a last line
 * `end COUNT` is compared with the number of extents, and an empty list must have one.
 */
export function createLineReader(take: TakeExtent): ExtentListReader {
  const pattern = new RegExp(LINE);
  let rest = '';
  let line = 1;
  let taken = 0;
  let stated: number | undefined;
  const bad = (message: string) => malformed(`line ${line}`, message);
  const readLine = ([, offset, length, count]: RegExpExecArray) => {
    if (count !== undefined) {
      stated = Number(count);
      if (stated !== taken) throw bad(`The list says that it has ${count} extents; there are ${taken}.`);
    } else if (offset !== undefined) {
      if (stated !== undefined) throw bad('The list goes on after its end.');
      take({ offset: Number(offset), length: Number(length) }, `line ${line}`);
      taken++;
    }
    line++;
  };
  return {
    push(bytes) {
      rest += bytes.toString('latin1');
      pattern.lastIndex = 0;
      let read = 0;
      for (let match = pattern.exec(rest); match; match = pattern.exec(rest)) {
        readLine(match);
        read = pattern.lastIndex;
      }
      rest = rest.slice(read);
      if (rest.length > LONGEST_ENTRY || rest.includes('\n')) throw bad(SYNTAX);
    },
    end() {
      if (rest !== '') throw bad('The list breaks off: its last line has no line feed.');
      if (taken === 0 && stated === undefined) throw bad('An empty list must say so: "end 0".');
    },
  };
}
