import { expect } from 'chai';
import { createBlockSampler } from '../../../../src/datapath/audit/blockSampler.js';
import { createReservoir } from '../../../../src/datapath/audit/reservoir.js';
import { createSeededRandom } from '../../../../src/datapath/audit/seededRandom.js';
import type { DigestRun } from '../../../../src/datapath/digests/index.js';

/** A sample of `size` out of `total`, offered in pieces of `piece`. */
function sampleOf(total: number, size: number, seed: string, piece = 7): number[] {
  const reservoir = createReservoir<number>(size, createSeededRandom(seed));
  for (let first = 0; first < total; first += piece) {
    reservoir.offer(Math.min(piece, total - first), (index) => first + index);
  }
  return reservoir.take();
}

const zeros = (first: number, count: number): DigestRun => ({ kind: 'zero', first, count });
const data = (first: number, count: number): DigestRun => ({
  kind: 'data',
  first,
  count,
  digests: Buffer.alloc(count * 16, 1),
});

describe('A seeded random number', () => {
  it('is the same for the same seed and spread evenly', () => {
    const [a, b, c] = ['x', 'x', 'y'].map((seed) => {
      const random = createSeededRandom(seed);
      return Array.from({ length: 4000 }, random);
    });
    expect(a).to.deep.equal(b);
    expect(a).not.to.deep.equal(c);
    const tenths = Array.from({ length: 10 }, () => 0);
    for (const number of a ?? [])
      tenths[Math.floor(number * 10)] = (tenths[Math.floor(number * 10)] ?? 0) + 1;
    for (const count of tenths) expect(count).to.be.within(320, 480);
  });
});

describe('A reservoir', () => {
  it('has distinct items of the sequence, all of them where it is short, the same ones for the same seed', () => {
    for (const [total, size] of [
      [0, 4],
      [1, 4],
      [4, 4],
      [5, 4],
      [1000, 64],
      [1000, 1],
    ] as const) {
      const sample = sampleOf(total, size, 's');
      expect(new Set(sample).size).to.equal(Math.min(total, size));
      for (const item of sample) expect(item).to.be.within(0, total - 1);
      expect(sampleOf(total, size, 's', 1)).to.deep.equal(sample);
      expect(sampleOf(total, size, 's', total + 1)).to.deep.equal(sample);
    }
  });

  it('draws every item equally often, also into the beginning of the sample', () => {
    const total = 50;
    const counts = Array.from({ length: total }, () => 0);
    const leading = Array.from({ length: total }, () => 0);
    for (let n = 0; n < 6000; n++) {
      const sample = sampleOf(total, 10, `seed ${n}`);
      for (const item of sample) counts[item] = (counts[item] ?? 0) + 1;
      for (const item of sample.slice(0, 5)) leading[item] = (leading[item] ?? 0) + 1;
    }
    // 1200 and 600 expected; five standard deviations of the binomial are 155 and 117.
    for (const count of counts) expect(count).to.be.within(1045, 1355);
    for (const count of leading) expect(count).to.be.within(483, 717);
  });
});

/** Beside those that are drawn. */
const LAST = 1;

describe('A sample of blocks', () => {
  const sample = (size: number, ...runs: DigestRun[]) => {
    const sampler = createBlockSampler(size, createSeededRandom('s'));
    for (const run of runs) sampler.offer(run);
    const blocks = sampler.take();
    return {
      data: blocks.filter(({ digest }) => digest !== undefined).length,
      zeros: blocks.filter(({ digest }) => digest === undefined).length,
      sorted: blocks.every(({ block }, i) => i === 0 || block > (blocks[i - 1]?.block ?? 0)),
    };
  };

  it('is drawn from data and from zeros, three to one, as far as there are so many', () => {
    expect(sample(64, zeros(0, 90_000), data(90_000, 1_000_000))).to.deep.equal({
      data: 48 + LAST,
      zeros: 16,
      sorted: true,
    });
    expect(sample(64, data(0, 1_000_000))).to.deep.equal({ data: 64 + LAST, zeros: 0, sorted: true });
    expect(sample(64, zeros(0, 1000), data(1000, 10))).to.deep.equal({ data: 10, zeros: 54, sorted: true });
    expect(sample(64, zeros(0, 5), data(5, 1_000_000))).to.deep.equal({
      data: 59 + LAST,
      zeros: 5,
      sorted: true,
    });
    expect(sample(64, zeros(0, 3), data(3, 4))).to.deep.equal({ data: 4, zeros: 3, sorted: true });
    expect(sample(0, zeros(0, 3), data(3, 4))).to.deep.equal({ data: 0, zeros: 0, sorted: true });
  });

  it('always has the last block with data: a disk that was cut and grown back shows it there', () => {
    for (let n = 0; n < 20; n++) {
      const sampler = createBlockSampler(1, createSeededRandom(`seed ${n}`));
      for (const run of [data(0, 500), zeros(500, 100), data(600, 7), zeros(607, 90_000)]) sampler.offer(run);
      expect(sampler.take().map(({ block }) => block)).to.include(606);
    }
  });
});
