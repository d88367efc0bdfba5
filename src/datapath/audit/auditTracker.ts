import { isStrataError } from '../../shared/errors.js';
import { BLOCK_SIZE } from '../../shared/extents.js';
import { digestBlock, isZero } from '../digests/block.js';
import { DIGEST_BYTES } from '../digests/runs.js';
import { orderedMap } from '../engine/orderedMap.js';
import type { Scope } from '../engine/scope.js';
import { scopedReaders } from '../engine/scopedReaders.js';
import type { Throttle } from '../engine/throttle.js';
import type { BlockReader, OpenSource } from '../sources/index.js';
import type { SampledBlock } from './blockSampler.js';

/** What an audit of a tracker has found. */
export interface AuditResult {
  /** Blocks that the tracker calls unchanged, and that were compared. */
  sampled: number;
  /** Blocks that were drawn and that the source cannot read: nobody can say whether they have changed. */
  unreadable: number;
  /** Numbers of those that differ from the parent: the tracker lies. In order. */
  differing: number[];
}

const IN_FLIGHT = 8;

/**
 * Reads the sampled blocks from the source and compares them with what the parent has. A bad sector among them is no
 * failure: the backup does not need it.
 * @throws whatever ends the reading as a whole, such as nbd_connection_lost
 */
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
        const read = await isRead(await readers.reader(number), offset, bytes);
        return { block, read, same: read && isSame(bytes, digest) };
      },
      scope,
    });
    const differing: number[] = [];
    let unreadable = 0;
    for await (const { block, read, same } of results) {
      if (!read) unreadable++;
      else if (!same) differing.push(block);
    }
    return { sampled: sample.length - unreadable, unreadable, differing };
  } finally {
    readers.detach();
  }
}

async function isRead(reader: BlockReader, offset: number, target: Buffer): Promise<boolean> {
  try {
    await reader.read(offset, target);
    return true;
  } catch (error) {
    if (isStrataError(error, 'nbd_io_error', 'source_io_error')) return false;
    throw error;
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
