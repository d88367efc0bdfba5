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
  /**
   * At most `size` blocks by chance, in order; and the last one that holds data, where it is not among them.
   *
   * That one tells for certain whether the disk was cut to any smaller size and grown again since the parent, by whatever
   * grows with zeros, as QEMU and file systems do: QEMU's bitmap stays clean then (7.2). What lay beyond the cut reads as
   * zero now. Where this block is what it was, the cut was behind it, or within it behind its data: all that it took and
   * that the tracker calls unchanged was zero before, too.
   */
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
  let lastData: Extract<DigestRun, { kind: 'data' }> | undefined;
  return {
    offer(run) {
      const { first, count } = run;
      if (run.kind === 'zero') {
        zeros.offer(count, (index) => ({ block: first + index, digest: undefined }));
        return;
      }
      if (count > 0) lastData = run;
      data.offer(count, (index) => blockOf(run, index));
    },
    take() {
      const [ofData, ofZeros] = [data.take(), zeros.take()];
      const wanted = Math.max(Math.ceil(size * DATA_SHARE), size - ofZeros.length);
      const sample = ofData.slice(0, wanted);
      sample.push(...ofZeros.slice(0, size - sample.length));
      const last = size > 0 && lastData ? blockOf(lastData, lastData.count - 1) : undefined;
      if (last && !sample.some(({ block }) => block === last.block)) sample.push(last);
      return sample.sort((a, b) => a.block - b.block);
    },
  };
}

function blockOf({ first, digests }: Extract<DigestRun, { kind: 'data' }>, index: number): SampledBlock {
  // A copy: what it is cut from is much larger.
  const digest = Buffer.from(digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES));
  return { block: first + index, digest };
}
