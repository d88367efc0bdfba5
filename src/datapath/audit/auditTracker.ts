import { BLOCK_SIZE } from '../../shared/extents.js';
import { digestBlock, isZero } from '../digests/block.js';
import { DIGEST_BYTES } from '../digests/runs.js';
import { orderedMap } from '../engine/orderedMap.js';
import type { Scope } from '../engine/scope.js';
import { scopedReaders } from '../engine/scopedReaders.js';
import type { Throttle } from '../engine/throttle.js';
import type { OpenSource } from '../sources/index.js';
import type { SampledBlock } from './blockSampler.js';

/** What an audit of a tracker has found. */
export interface AuditResult {
  /** Blocks that the tracker calls unchanged, and that were read. */
  sampled: number;
  /** Numbers of those that differ from the parent: the tracker lies. In order. */
  differing: number[];
}

const IN_FLIGHT = 8;

/** Reads the sampled blocks from the source and compares them with what the parent has. */
export async function auditTracker(
  sample: readonly SampledBlock[],
  { source, scope, throttle }: { source: OpenSource; scope: Scope; throttle: Throttle },
): Promise<AuditResult> {
  const readers = scopedReaders(source, scope);
  try {
    const slots = Array.from({ length: IN_FLIGHT }, (_, number) => ({
      number,
      buffer: Buffer.allocUnsafeSlow(BLOCK_SIZE),
    }));
    const results = orderedMap({
      items: each(sample),
      slots,
      work: async ({ block, digest }, { number, buffer }) => {
        const offset = block * BLOCK_SIZE;
        const bytes = buffer.subarray(0, Math.min(BLOCK_SIZE, source.sizeBytes - offset));
        await throttle(bytes.length);
        await (await readers.reader(number)).read(offset, bytes);
        return { block, same: isSame(bytes, digest) };
      },
      scope,
    });
    const differing: number[] = [];
    for await (const { block, same } of results) if (!same) differing.push(block);
    return { sampled: sample.length, differing };
  } finally {
    readers.detach();
  }
}

function isSame(bytes: Buffer, digest: Buffer | undefined): boolean {
  if (digest === undefined || isZero(bytes)) return digest === undefined && isZero(bytes);
  const found = Buffer.alloc(DIGEST_BYTES);
  digestBlock(bytes, found, 0);
  return found.equals(digest);
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* items;
}
