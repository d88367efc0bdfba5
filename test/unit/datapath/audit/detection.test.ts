import { expect } from 'chai';
import { createBlockSampler } from '../../../../src/datapath/audit/blockSampler.js';
import { createSeededRandom } from '../../../../src/datapath/audit/seededRandom.js';
import type { DigestRun } from '../../../../src/datapath/digests/index.js';

/** A disk of 8 GiB that holds data everywhere. */
const BLOCKS = 131_072;
const RUN = 4096;
const TRIALS = Number(process.env.STRATA_AUDIT_TRIALS ?? 60);

function sampleOf(size: number, seed: string): number[] {
  const sampler = createBlockSampler(size, createSeededRandom(seed));
  const digests = Buffer.alloc(RUN * 16, 7);
  for (let first = 0; first < BLOCKS; first += RUN) {
    const run: DigestRun = { kind: 'data', first, count: RUN, digests };
    sampler.offer(run);
  }
  // The last one is looked at in any case, and is none of chance.
  return sampler.take().flatMap(({ block }) => (block === BLOCKS - 1 ? [] : [block]));
}

/** Whether the tracker lies about a block: about one in so many, all over the disk. */
function isLie(block: number, trial: number, oneIn: number): boolean {
  return Math.imul(block ^ Math.imul(trial + 1, 0x9e3779b1), 0x85ebca6b) >>> 0 < 2 ** 32 / oneIn;
}

describe('Detection of a lying tracker', () => {
  for (const size of [16, 64, 256]) {
    it(`by ${size} blocks is as likely as the formula says, whether the lies lie together or apart`, function () {
      this.timeout(60_000 + TRIALS * 100);
      const samples = Array.from({ length: TRIALS }, (_, trial) => sampleOf(size, `audit ${trial}`));
      for (const oneIn of [1000, 100, 10]) {
        const lies = Math.round(BLOCKS / oneIn);
        const apart = samples.filter((sample, trial) => sample.some((block) => isLie(block, trial, oneIn)));
        const together = samples.filter((sample, trial) => {
          const begin = Math.imul(trial + 1, 0x9e3779b1) >>> 0;
          return sample.some((block) => (block + begin) % BLOCKS < lies);
        });
        const expected = 1 - (1 - 1 / oneIn) ** size;
        const rates = [apart, together].map((hits) => hits.length / TRIALS);
        if (process.env.STRATA_AUDIT_TRIALS) {
          console.log(
            `| ${[100 / oneIn, size, ...[expected, ...rates].map((rate) => (rate * 100).toFixed(1))].join(' | ')} |`,
          );
        }
        // Four standard deviations of the binomial.
        const margin = 4 * Math.sqrt((expected * (1 - expected)) / TRIALS) + 2e-3;
        for (const rate of rates) expect(rate, `one in ${oneIn}`).to.be.closeTo(expected, margin);
      }
    });
  }
});
