import { expect } from 'chai';
import { type MapExtent, parseExtents } from '../../../src/qcow2/map.js';
import { isStrataError } from '../../../src/shared/errors.js';

const TEXT =
  '[{ "start": 0, "length": 65536, "depth": 0, "present": true, "zero": false, "data": true, "offset": 327680},\n' +
  '{ "start": 65536, "length": 4128768, "depth": 1, "zero": true, "data": false}]\n';

async function parse(pieces: string[]): Promise<MapExtent[]> {
  async function* stream(): AsyncGenerator<string> {
    yield* pieces;
  }
  const extents: MapExtent[] = [];
  for await (const extent of parseExtents(stream())) extents.push(extent);
  return extents;
}

describe('parseExtents', () => {
  it('reads the same however the text is cut', async () => {
    const whole = await parse([TEXT]);
    expect(whole).to.deep.equal([
      { start: 0, length: 65536, depth: 0, present: true, zero: false, data: true, offset: 327680 },
      { start: 65536, length: 4128768, depth: 1, zero: true, data: false },
    ]);
    for (let at = 0; at < TEXT.length; at++) {
      expect(await parse([TEXT.slice(0, at), TEXT.slice(at)])).to.deep.equal(whole);
    }
    expect(await parse(TEXT.split(''))).to.deep.equal(whole);
  });

  it('reads an empty list', async () => {
    expect(await parse(['[', ']\n'])).to.deep.equal([]);
  });

  for (const [what, text] of [
    ['text that breaks off', TEXT.slice(0, 150)],
    ['something that is no JSON', 'x}'],
    ['a missing field', '[{"start": 0}]'],
    ['a negative length', TEXT.replace('65536', '-1')],
    ['an extent without an end', '['.padEnd(20000, '{')],
  ] as const) {
    it(`refuses ${what}`, async () => {
      const error = await parse([text]).catch((caught: unknown) => caught);
      expect(isStrataError(error, 'tool_output_invalid')).to.equal(true);
    });
  }
});
