import { type DigestRun, DIGEST_BYTES } from '../digests/runs.js';
import { createReservoir } from './reservoir.js';
import type { RandomNumber } from './seededRandom.js';

/** A block that the tracker calls unchanged, with the digest that the parent has of it; undefined for a block of zeros. */
export interface SampledBlock {
  block: number;
  digest: Buffer | undefined;
}

/** Draws blocks from runs that pass by. */
export interface BlockSampler {
  offer(run: DigestRun): void;
  /** At most `size` blocks, in order. */
  take(): SampledBlock[];
}

/**
 * Three of four blocks are drawn from those that hold data in the parent, the rest from its zeros, as far as there are so
 * many of each. Drawn from all alike, on a disk that is nearly empty nearly all would be holes, which hardly ever change.
 */
const DATA_SHARE = 3 / 4;

export function createBlockSampler(size: number, random: RandomNumber): BlockSampler {
  const data = createReservoir<SampledBlock>(size, random);
  const zeros = createReservoir<SampledBlock>(size, random);
  return {
    offer(run) {
      const { first, count } = run;
      if (run.kind === 'zero') {
        zeros.offer(count, (index) => ({ block: first + index, digest: undefined }));
        return;
      }
      data.offer(count, (index) => {
        // A copy: what it is cut from is much larger.
        const digest = Buffer.from(run.digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES));
        return { block: first + index, digest };
      });
    },
    take() {
      const [ofData, ofZeros] = [data.take(), zeros.take()];
      const wanted = Math.max(Math.ceil(size * DATA_SHARE), size - ofZeros.length);
      const sample = ofData.slice(0, wanted);
      return [...sample, ...ofZeros.slice(0, size - sample.length)].sort((a, b) => a.block - b.block);
    },
  };
}
