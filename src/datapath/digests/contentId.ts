import { Blake3Hasher } from '@napi-rs/blake-hash';
import { StrataError } from '../../shared/errors.js';
import { BLOCK_SIZE } from '../../shared/extents.js';
import { untilAborted } from '../untilAborted.js';
import { effectiveDigests } from './merge.js';
import { blockCount, type DigestRun, DIGEST_BYTES } from './runs.js';

// Makes a content id differ from any other BLAKE3 in Strata. Part of the format: docs/on-disk-format.md.
const DOMAIN = Buffer.from('strata content id v1\n', 'ascii');
const DATA_ENTRY_BYTES = 1 + DIGEST_BYTES;

/**
 * The content id of a restore point: 64 hex digits of BLAKE3 over the size and the effective digests. Equal for equal
 * content, whatever the layers and however their runs are cut.
 * @param layers paths of the digest indexes of the chain, topmost first
 * @param virtualSizeBytes size of the disk at the restore point, in bytes
 * @throws digest_index_invalid as `effectiveDigests`
 */
export async function contentId(chain: {
  layers: readonly string[];
  virtualSizeBytes: number;
  signal?: AbortSignal;
}): Promise<string> {
  const runs = effectiveDigests(chain.layers, chain.virtualSizeBytes);
  return contentIdOfRuns(untilAborted(runs, chain.signal), chain.virtualSizeBytes);
}

/**
 * The content id of runs that cover every block of the disk in order.
 * @throws internal when they leave a gap: such an id would name other content
 */
export async function contentIdOfRuns(
  runs: AsyncIterable<DigestRun>,
  virtualSizeBytes: number,
): Promise<string> {
  const hasher = createContentHasher(virtualSizeBytes);
  for await (const run of runs) hasher.add(run);
  return hasher.finish();
}

/** Takes the runs of a disk one by one, for a caller that also does something else with them. */
export function createContentHasher(virtualSizeBytes: number): {
  add(run: DigestRun): void;
  finish(): string;
} {
  const hasher = new Blake3Hasher();
  hasher.update(Buffer.concat([DOMAIN, uint64(BLOCK_SIZE), uint64(virtualSizeBytes)]));
  let next = 0;
  let zeros = 0;
  const endZeros = () => {
    if (zeros > 0) hasher.update(Buffer.concat([Buffer.of(0), uint64(zeros)]));
    zeros = 0;
  };
  return {
    add(run) {
      if (run.first !== next)
        throw new StrataError('internal', `Digests of the blocks from ${next} on are missing.`);
      next += run.count;
      if (run.kind === 'zero') {
        zeros += run.count;
        return;
      }
      endZeros();
      hasher.update(dataEntries(run.digests));
    },
    finish() {
      endZeros();
      if (next !== blockCount(virtualSizeBytes)) {
        throw new StrataError('internal', `Digests of the blocks from ${next} on are missing.`);
      }
      return hasher.digest('hex');
    },
  };
}

function dataEntries(digests: Buffer): Buffer {
  const count = digests.length / DIGEST_BYTES;
  const entries = Buffer.alloc(count * DATA_ENTRY_BYTES);
  for (let i = 0; i < count; i++) {
    entries[i * DATA_ENTRY_BYTES] = 1;
    digests.copy(entries, i * DATA_ENTRY_BYTES + 1, i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES);
  }
  return entries;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
