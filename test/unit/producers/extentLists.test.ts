import { expect } from 'chai';
import fc from 'fast-check';
import { createJsonReader } from '../../../src/producers/http/extentLists/json.js';
import { createLineReader } from '../../../src/producers/http/extentLists/lines.js';
import type { ExtentListReader, TakeExtent } from '../../../src/producers/http/extentLists/types.js';
import type { Extent } from '../../../src/shared/extents.js';
import { isStrataError } from '../../../src/shared/errors.js';

type Kind = (take: TakeExtent) => ExtentListReader;

/** Reads a list in pieces of `size` bytes; the field and code where it is refused. */
function read(kind: Kind, text: string, size = 7): Extent[] | string {
  const extents: Extent[] = [];
  const reader = kind((extent) => extents.push(extent));
  const bytes = Buffer.from(text);
  try {
    for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
    reader.end();
    return extents;
  } catch (error) {
    if (isStrataError(error, 'extents_invalid')) return error.fields[0]?.field ?? 'no field';
    throw error;
  }
}

const arbitraryList = fc.array(
  fc.record({ offset: fc.maxSafeNat(), length: fc.integer({ min: 1, max: 2 ** 40 }) }),
);
const pieces = fc.integer({ min: 1, max: 20 });

describe('A change list as lines', () => {
  it('is read as it was written, wherever its pieces are cut', () =>
    fc.assert(
      fc.property(arbitraryList, pieces, (list, size) => {
        const text = list.map(({ offset, length }) => `${offset} ${length}\n`).join('');
        expect(read(createLineReader, `${text}end ${list.length}\n`, size)).to.deep.equal(list);
        if (list.length > 0) expect(read(createLineReader, text, size)).to.deep.equal(list);
      }),
    ));

  it('may have comments, empty lines, tabs, commas and carriage returns', () => {
    const text = '# from the tracker\r\n\r\n0,512\r\n \t1024\t 512 \n\n#0 1\n2048 1\nend 3\n\n# done\n';
    expect(read(createLineReader, text)).to.deep.equal([
      { offset: 0, length: 512 },
      { offset: 1024, length: 512 },
      { offset: 2048, length: 1 },
    ]);
  });

  it('is refused where it breaks off, however little is missing, and says in which line', () => {
    const text = '0 512\n65536 1048576\n';
    const whole = `${text}end 2\n`;
    for (let cut = text.length + 1; cut < whole.length; cut++) {
      expect(read(createLineReader, whole.slice(0, cut)), `${cut}`).to.equal('line 3');
    }
    expect(read(createLineReader, text.slice(0, -1))).to.equal('line 2');
    expect(read(createLineReader, '')).to.equal('line 1');
    expect(read(createLineReader, '# no change\n')).to.equal('line 2');
    expect(read(createLineReader, 'end 0\n')).to.deep.equal([]);
  });

  it('is refused for anything else than such lines', () => {
    const bad = [
      '1',
      '1 2 3',
      '-1 2',
      '1.5 2',
      '0x10 2',
      '1 2 #c',
      'a b',
      'end',
      'end 1',
      'end x',
      'en 0',
      'ende 0',
    ];
    bad.push('end 0 0', '1 end', '1 end 0', '12345678901234567 1', '\u00a01 2', '1 2\u0000', 'end 0\n1 2');
    for (const line of bad) expect(read(createLineReader, `${line}\n`), line).to.match(/^line [12]$/);
  });
});

describe('A change list as JSON', () => {
  it('is read as it was written, wherever its pieces are cut and however it is indented', () =>
    fc.assert(
      fc.property(arbitraryList, pieces, fc.nat(3), (list, size, indent) => {
        expect(read(createJsonReader, JSON.stringify(list, null, indent), size)).to.deep.equal(list);
        const turned = list.map(({ offset, length }) => ({ length, offset }));
        expect(read(createJsonReader, ` ${JSON.stringify(turned)}\n`, size)).to.deep.equal(list);
      }),
    ));

  it('is refused where it breaks off or goes on, and for whatever JSON.parse would not give as such a list', () =>
    fc.assert(
      fc.property(
        fc.array(arbitraryList, { minLength: 1, maxLength: 3 }).map(([list = []]) => JSON.stringify(list)),
        fc.nat(),
        fc.constantFrom('', '0', ',', '"', '}', ']', '[', '{', ':', ' ', '\u00a0', '\\', 'offset'),
        (text, at, insert) => {
          const place = at % (text.length + 1);
          const broken = text.slice(0, place) + insert + text.slice(place + (insert === '' ? 1 : 0));
          expect(Array.isArray(read(createJsonReader, broken))).to.equal(isList(broken), broken);
        },
      ),
      { numRuns: 500 },
    ));

  it('is refused for other objects, doubled or missing properties and numbers that are no whole bytes', () => {
    const items = [
      '{}',
      '{"offset":1}',
      '{"length":1}',
      '{"offset":1,"offset":1,"length":1}',
      '[]',
      'null',
      '1',
    ];
    items.push('{"offset":1,"length":1,"x":1}', '{"offset":"1","length":1}', '{"offset":1,"length":-1}');
    items.push(
      '{"offset":01,"length":1}',
      '{"offset":1e3,"length":1}',
      '{"offset":12345678901234567,"length":1}',
    );
    for (const item of items) {
      const text = `[{"offset":0,"length":1},${item}]`;
      expect(read(createJsonReader, text), item).to.equal('[1]');
    }
    for (const text of ['', '{}', '[', '[,]', '[{"offset":0,"length":1},]', '[][]']) {
      expect(read(createJsonReader, text), text).to.be.a('string');
    }
  });
});

/** What the reader ought to say, by way of JSON.parse; doubled properties do not occur here. */
function isList(text: string): boolean {
  try {
    const list: unknown = JSON.parse(text);
    return (
      Array.isArray(list) &&
      list.every(
        (item: unknown) =>
          typeof item === 'object' &&
          item !== null &&
          Object.keys(item).toSorted().join() === 'length,offset' &&
          Object.values(item).every((value) => Number.isInteger(value) && String(value).length <= 16),
      )
    );
  } catch {
    return false;
  }
}
