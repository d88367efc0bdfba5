import { join } from 'node:path';
import { readFile, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { contentId, effectiveDigests } from '../../../../src/datapath/digests/index.js';
import { BLOCK_SIZE } from '../../../../src/shared/extents.js';
import { isStrataError } from '../../../../src/shared/errors.js';
import {
  arbitraryCells,
  type Cell,
  cellsOfRuns,
  collect,
  inTempDir,
  type Layer,
  writeLayer,
} from './layers.js';

/** What a reader of the chain sees, said without streams: go down until a layer provides the block or ends before it. */
function seen(layers: readonly Layer[], block: number): Cell {
  for (const layer of layers) {
    if (block * BLOCK_SIZE >= layer.sizeBytes) return 0;
    const cell = layer.cells[block];
    if (cell !== undefined) return cell;
  }
  return 0;
}

const arbitraryLayer = fc
  .integer({ min: 1, max: 16 })
  .chain((blocks) => arbitraryCells(blocks).map((cells) => ({ sizeBytes: blocks * BLOCK_SIZE, cells })));

let files = 0;
const write = async (dir: string, layers: readonly Layer[], maxCount?: number): Promise<string[]> => {
  const paths: string[] = [];
  for (const layer of layers) {
    const path = join(dir, String(files++));
    await writeLayer(path, layer, maxCount);
    paths.push(path);
  }
  return paths;
};

describe('Effective digests', () => {
  it('are those of the topmost layer that provides a block, clipped by every size above it', () =>
    inTempDir((dir) =>
      fc.assert(
        fc.asyncProperty(
          fc.array(arbitraryLayer, { maxLength: 5 }),
          fc.integer({ min: 0, max: 18 }),
          async (layers, blocks) => {
            const paths = await write(dir, layers);
            const runs = await collect(effectiveDigests(paths, blocks * BLOCK_SIZE));
            expect(cellsOfRuns(runs, blocks)).to.deep.equal(
              Array.from({ length: blocks }, (_, block) => seen(layers, block)),
            );
          },
        ),
        { numRuns: 150 },
      ),
    ));

  it('read to the end of every layer, so that damage behind the last needed block is noticed', () =>
    inTempDir(async (dir) => {
      const [top = '', base = ''] = await write(dir, [
        { sizeBytes: BLOCK_SIZE, cells: [1] },
        { sizeBytes: 4 * BLOCK_SIZE, cells: [1, 2, 3, 4] },
      ]);
      const bytes = await readFile(base);
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      await writeFile(base, bytes);
      let code: string | undefined;
      try {
        await collect(effectiveDigests([top, base], BLOCK_SIZE));
      } catch (error) {
        if (isStrataError(error)) code = error.code;
      }
      expect(code).to.equal('digest_index_invalid');
    }));

  it('refuse a data block that a shorter layer cuts, and accept it where that layer provides the block itself', () =>
    inTempDir(async (dir) => {
      const base = { sizeBytes: 2 * BLOCK_SIZE, cells: [1, 2] };
      const [silent = '', own = '', basePath = ''] = await write(dir, [
        { sizeBytes: BLOCK_SIZE + 512, cells: [undefined, undefined] },
        { sizeBytes: BLOCK_SIZE + 512, cells: [undefined, 3] },
        base,
      ]);
      const runs = await collect(effectiveDigests([own, basePath], BLOCK_SIZE + 512));
      expect(cellsOfRuns(runs, 2)).to.deep.equal([1, 3]);
      let code: string | undefined;
      try {
        await collect(effectiveDigests([silent, basePath], BLOCK_SIZE + 512));
      } catch (error) {
        if (isStrataError(error)) code = error.code;
      }
      expect(code).to.equal('digest_index_invalid');
    }));
});

describe('The content id', () => {
  it('is equal for equal content, however it is layered and cut into runs', () =>
    inTempDir((dir) =>
      fc.assert(
        fc.asyncProperty(
          fc.array(arbitraryLayer, { minLength: 1, maxLength: 4 }),
          fc.integer({ min: 1, max: 3 }),
          async (layers, maxCount) => {
            const virtualSizeBytes = layers[0]?.sizeBytes ?? 0;
            const blocks = virtualSizeBytes / BLOCK_SIZE;
            const flat = {
              sizeBytes: virtualSizeBytes,
              cells: Array.from({ length: blocks }, (_, block) => seen(layers, block)),
            };
            const layered = await contentId({ layers: await write(dir, layers), virtualSizeBytes });
            const single = await contentId({ layers: await write(dir, [flat], maxCount), virtualSizeBytes });
            expect(single)
              .to.equal(layered)
              .and.to.match(/^[0-9a-f]{64}$/);
          },
        ),
        { numRuns: 80 },
      ),
    ));

  it('differs for every change of one block and for another size', () =>
    inTempDir(async (dir) => {
      const ids = new Set<string>();
      const cells: Cell[] = [1, 0, 2, 0];
      const variants = [
        cells,
        [2, 0, 2, 0],
        [0, 0, 2, 0],
        [1, 1, 2, 0],
        [1, 0, 2, 2],
        [1, 2, 0, 0],
        [1, 0, 0, 2],
      ];
      for (const variant of variants) {
        const virtualSizeBytes = 4 * BLOCK_SIZE;
        const layers = await write(dir, [{ sizeBytes: virtualSizeBytes, cells: variant }]);
        ids.add(await contentId({ layers, virtualSizeBytes }));
      }
      for (const virtualSizeBytes of [4 * BLOCK_SIZE - 512, 5 * BLOCK_SIZE]) {
        const grown = { sizeBytes: virtualSizeBytes, cells };
        ids.add(await contentId({ layers: await write(dir, [grown]), virtualSizeBytes }));
      }
      expect(ids.size).to.equal(variants.length + 2);
    }));
});
