import { readFile, stat } from 'node:fs/promises';
import { expect } from 'chai';
import { checkImage } from '../../../../src/qcow2/index.js';
import {
  chainWithSibling,
  linearChain,
  type MergeBench,
  openMergeBench,
} from '../../../helpers/mergeBench.js';
import { writeRefcount } from '../validation/faultTools.js';

describe('consolidation', function () {
  this.timeout(120_000);
  let bench: MergeBench;
  afterEach(() => bench.close());

  for (const strategy of ['copy', 'in_place'] as const) {
    it(`merges a full and increments into the next kept point (${strategy})`, async () => {
      bench = await openMergeBench(linearChain(4));
      const kept = [bench.at(3), bench.at(5)];
      const jobId = await bench.add(bench.at(1), bench.at(2), bench.at(4));
      const { steps, refused, ...room } = await bench.attempt(jobId, strategy);
      expect(Object.keys(room)).to.deep.equal(['available_before', 'available_after']);
      expect(Math.min(...Object.values(room))).to.be.greaterThan(0);
      expect(refused).to.deep.equal([]);
      expect(steps.map((step) => step.action)).to.deep.equal(['merge', 'merge']);
      await bench.comparePoints(kept, strategy);
      await bench.expectRebuildable(kept, strategy);
      await bench.expectDone(kept, strategy);
    });

    it(`leaves a differential beside the run as it is (${strategy})`, async () => {
      bench = await openMergeBench(chainWithSibling(3));
      const kept = [bench.at(1), bench.at(4), bench.at(5)];
      await bench.attempt(await bench.add(bench.at(2), bench.at(3)), strategy);
      await bench.comparePoints(kept, strategy);
      await bench.expectRebuildable(kept, strategy);
      await bench.expectDone(kept, strategy);
    });
  }

  it('gives leaked clusters back in the merged file, and mends no file that somebody can reach', async () => {
    bench = await openMergeBench(linearChain(3));
    const leak = async (image: string) => writeRefcount(image, Math.ceil((await stat(image)).size / 65536));
    const leaksOf = async (image: string) => (await checkImage(image)).leaks;
    for (const n of [1, 2]) await leak(bench.at(n).image);
    expect([await leaksOf(bench.at(1).image), await leaksOf(bench.at(2).image)]).to.deep.equal([1, 1]);
    const reachable = await readFile(bench.at(1).image);
    await bench.attempt(await bench.add(bench.at(2)), 'in_place');
    expect(await leaksOf(bench.at(3).image)).to.equal(0);
    expect((await readFile(bench.at(1).image)).equals(reachable)).to.equal(true);
    await bench.comparePoints([bench.at(1), bench.at(3), bench.at(4)], 'with leaks below');
  });
});
