import { expect } from 'chai';
import {
  chainWithSibling,
  linearChain,
  type MergeBench,
  openMergeBench,
} from '../../../helpers/mergeBench.js';

describe('consolidation', function () {
  this.timeout(120_000);
  let bench: MergeBench;
  afterEach(() => bench.close());

  for (const strategy of ['copy', 'in_place'] as const) {
    it(`merges a full and increments into the next kept point (${strategy})`, async () => {
      bench = await openMergeBench(linearChain(4));
      const kept = [bench.at(3), bench.at(5)];
      const jobId = await bench.add(bench.at(1), bench.at(2), bench.at(4));
      const { steps, refused } = await bench.attempt(jobId, strategy);
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
});
