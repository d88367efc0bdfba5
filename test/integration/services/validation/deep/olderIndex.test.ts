import { copyFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import type { ChainStep } from '../../../../helpers/chainFixture.js';
import { linearChain, type MergeBench, openMergeBench } from '../../../../helpers/mergeBench.js';
import { codes, healths, validate } from '../support.js';
import { namesBelow } from '../../../../helpers/namesBelow.js';

const MIB = 1024 ** 2;
const increment = (offset: number, pattern: number): ChainStep => ({
  type: 'incremental',
  writes: [{ offset, length: MIB, pattern }],
});
/** What the second layer holds the fourth has written over. */
const COVERED: ChainStep[] = [
  { type: 'full', writes: [{ offset: 0, length: 4 * MIB, pattern: 1 }] },
  increment(0, 2),
  increment(MIB, 3),
  increment(0, 4),
];

describe('a digest index that is an older copy of itself', function () {
  this.timeout(60_000);
  let bench: MergeBench;
  afterEach(() => bench.close());

  /** A merge has given a backup a larger index; the one of before takes its place again. */
  const merged = async (steps: ChainStep[], top: number) => {
    bench = await openMergeBench(steps);
    const older = join(bench.suite.tempDir, 'older');
    await copyFile(bench.at(top).digests, older);
    await bench.attempt(await bench.add(bench.at(top - 1)), 'copy');
    await copyFile(older, bench.at(top).digests);
    const { ds, chain } = bench;
    const healthy = async () => {
      const { backups, chain: all } = await healths(ds, chain);
      return [...backups.split(' '), all].every((health) => health === 'ok');
    };
    return { quick: () => validate(ds, chain), deep: () => validate(ds, chain, { level: 'deep' }), healthy };
  };

  for (const [top, where] of [
    [5, 'the tip itself'],
    [3, 'a point below the tip'],
  ] as const) {
    it(`is named by a quick check and built anew by a deep one, and the image stays sound: ${where}`, async () => {
      const { quick, deep, healthy } = await merged(linearChain(4), top);
      expect(codes(bench.chain, await quick())).to.deep.equal([`${top}:digests_invalid`]);
      expect(codes(bench.chain, await deep())).to.deep.equal([`${top}:digests_rebuilt`]);
      expect(await healthy()).to.equal(true);
      expect((await deep()).findings).to.deep.equal([]);
      const aside = await namesBelow(join(bench.chain.root, '.quarantine'));
      expect(aside.map((name) => basename(name))).to.include(basename(bench.at(top).digests));
    });
  }

  it('is found by a deep check where the points above hide it', async () => {
    const { quick, deep, healthy } = await merged(COVERED, 3);
    expect((await quick()).findings).to.deep.equal([]);
    expect(codes(bench.chain, await deep())).to.deep.equal(['3:digests_rebuilt']);
    expect(await healthy()).to.equal(true);
  });
});
