import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { digestBlock } from '../../../../src/datapath/digests/block.js';
import { createDigestWriter, type DigestRun, DIGEST_BYTES } from '../../../../src/datapath/digests/index.js';

/** What a layer holds in a block: nothing, zeros, or a content named by a number > 0. */
export type Cell = undefined | number;

export interface Layer {
  sizeBytes: number;
  cells: Cell[];
}

/** Digests of made-up contents, so that a test compares numbers and not bytes. */
export function digestOf(content: number): Buffer {
  const digest = Buffer.alloc(DIGEST_BYTES);
  digestBlock(Buffer.from(`content ${content}`), digest, 0);
  return digest;
}

export function runsOfCells(cells: readonly Cell[], maxCount = Number.MAX_SAFE_INTEGER): DigestRun[] {
  const runs: DigestRun[] = [];
  let first = 0;
  while (first < cells.length) {
    const cell = cells[first];
    let count = 1;
    const same = (other: Cell) =>
      (other === undefined) === (cell === undefined) && (other === 0) === (cell === 0);
    while (count < maxCount && first + count < cells.length && same(cells[first + count])) count++;
    if (cell === 0) runs.push({ kind: 'zero', first, count });
    else if (cell !== undefined) {
      const digests = Buffer.concat(cells.slice(first, first + count).map((c) => digestOf(c ?? 0)));
      runs.push({ kind: 'data', first, count, digests });
    }
    first += count;
  }
  return runs;
}

/** Back from runs to cells: contents are told by their digests, below `contents`. */
export function cellsOfRuns(runs: readonly DigestRun[], blocks: number, contents = 8): Cell[] {
  const names = new Map(
    Array.from({ length: contents }, (_, i) => [digestOf(i).toString('hex'), i] as const),
  );
  const cells: Cell[] = Array.from({ length: blocks }, () => undefined);
  for (const run of runs) {
    for (let i = 0; i < run.count; i++) {
      const name =
        run.kind === 'zero'
          ? 0
          : names.get(run.digests.toString('hex', i * DIGEST_BYTES, (i + 1) * DIGEST_BYTES));
      if (name === undefined) throw new Error(`Block ${run.first + i} has a digest that nothing has.`);
      cells[run.first + i] = name;
    }
  }
  return cells;
}

export async function writeLayer(path: string, layer: Layer, maxCount?: number): Promise<void> {
  const writer = await createDigestWriter(path, { virtualSizeBytes: layer.sizeBytes, backupId: 'bkp_test' });
  await writer.append(runsOfCells(layer.cells, maxCount));
  await writer.finish();
}

export async function inTempDir<T>(work: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'strata-digests-'));
  try {
    return await work(dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

/** Cells of `blocks` blocks: runs of a kind, with holes. */
export function arbitraryCells(blocks: number): fc.Arbitrary<Cell[]> {
  const cell = fc.oneof(fc.constant(undefined), fc.constant(0 as const), fc.integer({ min: 1, max: 5 }));
  return fc.array(cell, { minLength: blocks, maxLength: blocks });
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
