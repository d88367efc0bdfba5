import { blockCount, type DigestRun, effectiveDigests, readDigestIndex, sliceRun } from '../digests/index.js';
import type { BlockRange } from './blockRange.js';
import { compareLayer, cursorOf, type LayerDifference } from './compareLayer.js';
import { differingRanges } from './differences.js';
import type { HashPool } from './hashPool.js';
import { heldRuns, openLayer } from './heldRuns.js';
import { inScope } from './scope.js';
import { createThrottle, type RateLimit } from './throttle.js';
import { tolerantPool } from './tolerantPool.js';

export interface ProveLayer {
  /** Absolute paths of a QCOW2 file of Strata's own and of its digest index. */
  image: string;
  digests: string;
  /**
   * Digest indexes of what it stands on, topmost first; empty for a full. Undefined where one of them cannot be used:
   * then what only the image, or only its index, has is not proved.
   */
  below: readonly string[] | undefined;
  virtualSizeBytes: number;
  /** Blocks before this one are not looked at. */
  fromBlock: number;
  /** Its failures keep the `code` of the system error; is left open. */
  pool: HashPool;
  rate: RateLimit;
  signal: AbortSignal;
  scratchDir: string;
  /** Is told how far it is, in order, and waited for. False: stop here. */
  onStep: (step: ProofStep) => Promise<boolean>;
}

export interface ProofStep {
  /** All blocks before this one have been compared. */
  upTo: number;
  /** Blocks, since the step before, that read otherwise than they were written. */
  wrong: BlockRange[];
  /** The same, of which that cannot be told: the disk does not give them, or an index below is missing. */
  unproved: BlockRange[];
  /** Bytes read in all. */
  bytesRead: number;
}

/**
 * Reads every block that an image holds, by direct I/O where the file system has it, and compares it with the image's
 * digest index: bit rot, lost writes and broken tables show, whatever `qemu-img check` says. Memory does not grow with
 * the disk.
 * @returns false where `onStep` stopped it
 * @throws digest_index_invalid, file_missing; tool_failed and others where QEMU cannot list the image's clusters; a system
 *   error where the file system does not answer; the signal's reason
 */
export async function proveLayer(job: ProveLayer): Promise<boolean> {
  const { virtualSizeBytes, fromBlock, onStep } = job;
  const end = blockCount(virtualSizeBytes);
  return inScope(job.signal, async (scope) => {
    const source = openLayer(job.image, virtualSizeBytes, job.scratchDir, scope.signal);
    const unreadable = new Set<number>();
    let bytesRead = 0;
    const held = heldRuns(
      {
        source,
        scope,
        fromBlock,
        throttle: createThrottle(job.rate, scope.signal),
        pool: tolerantPool(job.pool, (block) => unreadable.add(block)),
        onRead: (bytes) => {
          bytesRead += bytes;
        },
      },
      isOverlay(job),
    );
    const indexed = readDigestIndex(job.digests);
    const steps = compareLayer(isOverlay(job) ? indexed : withoutGaps(indexed, end), held, fromBlock);
    const below = belowOf(job);
    try {
      for await (const { upTo, differences } of steps) {
        const found = await settle(differences, below, unreadable);
        if (!(await onStep({ upTo, ...found, bytesRead }))) return false;
      }
      return await onStep({ upTo: end, wrong: [], unproved: [], bytesRead });
    } finally {
      await below.close();
      await source.close();
    }
  });
}

function isOverlay({ below }: ProveLayer): boolean {
  return below === undefined || below.length > 0;
}

/** A full provides the whole disk: what its index does not say is zero. */
async function* withoutGaps(
  runs: AsyncIterable<DigestRun>,
  end: number,
): AsyncGenerator<DigestRun, void, undefined> {
  let next = 0;
  for await (const run of runs) {
    if (run.first > next) yield { kind: 'zero', first: next, count: run.first - next };
    yield run;
    next = run.first + run.count;
  }
  if (next < end) yield { kind: 'zero', first: next, count: end - next };
}

interface Below {
  /** The parts of a run that do not read the same below; undefined where that is not known. */
  differing(run: DigestRun): Promise<BlockRange[] | undefined>;
  close(): Promise<void>;
}

/** What lies below an image by its digests; opened when it is asked for, which a sound image never does. */
function belowOf({ below, virtualSizeBytes }: ProveLayer): Below {
  let cursor: ReturnType<typeof cursorOf> | undefined;
  return {
    async differing(run) {
      if (below === undefined) return undefined;
      cursor ??= cursorOf(effectiveDigests(below, virtualSizeBytes));
      const found: BlockRange[] = [];
      let block = run.first;
      while (block < run.first + run.count) {
        await cursor.advance(block);
        const other: DigestRun = cursor.run ?? {
          kind: 'zero',
          first: block,
          count: run.first + run.count - block,
        };
        const end = Math.min(run.first + run.count, other.first + other.count);
        found.push(...differingRanges(sliceRun(run, block, end), other, block, end));
        block = end;
      }
      return found;
    },
    close: async () => cursor?.close(),
  };
}

async function settle(
  differences: readonly LayerDifference[],
  below: Below,
  unreadable: Set<number>,
): Promise<Pick<ProofStep, 'wrong' | 'unproved'>> {
  const found = { wrong: [] as BlockRange[], unproved: [] as BlockRange[] };
  for (const difference of differences) {
    if (difference.kind === 'wrong') divide(difference.range, unreadable, found);
    else {
      const { run } = difference;
      const ranges = await below.differing(run);
      if (ranges === undefined) found.unproved.push({ first: run.first, end: run.first + run.count });
      else for (const range of ranges) divide(range, unreadable, found);
    }
  }
  return found;
}

/** Blocks that could not be read have no digest, and so differ from everything. */
function divide(
  { first, end }: BlockRange,
  unreadable: Set<number>,
  found: Pick<ProofStep, 'wrong' | 'unproved'>,
): void {
  if (unreadable.size === 0) {
    found.wrong.push({ first, end });
    return;
  }
  for (let block = first; block < end; block++) {
    const list = unreadable.delete(block) ? found.unproved : found.wrong;
    const last = list.at(-1);
    if (last?.end === block) last.end++;
    else list.push({ first: block, end: block + 1 });
  }
}
