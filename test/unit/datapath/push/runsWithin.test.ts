import { expect } from 'chai';
import type { DigestRun } from '../../../../src/datapath/digests/runs.js';
import type { BlockRange } from '../../../../src/datapath/engine/blockRange.js';
import { runsWithin } from '../../../../src/datapath/engine/heldRuns.js';

async function* each<T>(items: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* items;
}

const within = async (runs: DigestRun[], ranges: BlockRange[]) => {
  const found: string[] = [];
  for await (const { kind, first, count } of runsWithin(each(runs), each(ranges)))
    found.push(`${kind} ${first}+${count}`);
  return found;
};
const data = (first: number, count: number): DigestRun => ({
  kind: 'data',
  first,
  count,
  digests: Buffer.alloc(count * 16, 1),
});
const zero = (first: number, count: number): DigestRun => ({ kind: 'zero', first, count });

describe('Runs within ranges of blocks', () => {
  const runs = [zero(0, 4), data(4, 4), zero(8, 2)];

  it('are cut at both ends of every range', async () => {
    expect(
      await within(runs, [
        { first: 1, end: 5 },
        { first: 6, end: 9 },
      ]),
    ).to.deep.equal(['zero 1+3', 'data 4+1', 'data 6+2', 'zero 8+1']);
  });

  it('are all of them in a range of all, and none in no range', async () => {
    expect(await within(runs, [{ first: 0, end: 10 }])).to.deep.equal(['zero 0+4', 'data 4+4', 'zero 8+2']);
    expect(await within(runs, [])).to.deep.equal([]);
    expect(
      await within(runs, [
        { first: 5, end: 6 },
        { first: 6, end: 7 },
      ]),
    ).to.deep.equal(['data 5+1', 'data 6+1']);
  });
});
