import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  createDigestWriter,
  openDigestIndex,
  readDigestIndex,
} from '../../../../src/datapath/digests/index.js';
import { BLOCK_SIZE } from '../../../../src/shared/extents.js';
import { isStrataError } from '../../../../src/shared/errors.js';
import {
  arbitraryCells,
  cellsOfRuns,
  collect,
  digestOf,
  inTempDir,
  runsOfCells,
  writeLayer,
} from './layers.js';

const code = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return 'no error';
  } catch (error) {
    return isStrataError(error) ? error.code : `not a StrataError: ${String(error)}`;
  }
};

describe('A digest index', () => {
  it('gives back the runs that were written, whatever they are', () =>
    inTempDir(async (dir) => {
      let n = 0;
      await fc.assert(
        fc.asyncProperty(arbitraryCells(24), fc.integer({ min: 1, max: BLOCK_SIZE }), async (cells, tail) => {
          const path = join(dir, String(n++));
          await writeLayer(path, { sizeBytes: 23 * BLOCK_SIZE + tail, cells });
          expect(cellsOfRuns(await collect(readDigestIndex(path)), 24)).to.deep.equal(cells);
        }),
        { numRuns: 50 },
      );
    }));

  it('has the same bytes however its runs were cut when they were appended', () =>
    inTempDir(async (dir) => {
      const cells = [1, 2, 3, 0, 0, undefined, 4, 4, 0, 5];
      const layer = { sizeBytes: 10 * BLOCK_SIZE, cells };
      await writeLayer(join(dir, 'a'), layer);
      await writeLayer(join(dir, 'b'), layer, 1);
      expect((await readFile(join(dir, 'a'))).equals(await readFile(join(dir, 'b')))).to.equal(true);
    }));

  it('notices every flipped byte, every cut and every added byte when it is read whole', () =>
    inTempDir(async (dir) => {
      const path = join(dir, 'index');
      await writeLayer(path, {
        sizeBytes: 9 * BLOCK_SIZE + 512,
        cells: [1, 2, 0, 0, undefined, 3, 3, 0, 4, 5],
      });
      const good = await readFile(path);
      const bad = join(dir, 'bad');
      const read = async (bytes: Buffer) => {
        await writeFile(bad, bytes);
        return code(collect(readDigestIndex(bad)));
      };
      for (let at = 0; at < good.length; at++) {
        for (const bit of [0x01, 0x80]) {
          const flipped = Buffer.from(good);
          flipped[at] = (flipped[at] ?? 0) ^ bit;
          expect(await read(flipped), `byte ${at}`).to.equal('digest_index_invalid');
        }
        expect(await read(good.subarray(0, at)), `cut at ${at}`).to.equal('digest_index_invalid');
      }
      expect(await read(Buffer.concat([good, Buffer.of(0)]))).to.equal('digest_index_invalid');
      expect(await read(good)).to.equal('no error');
    }));

  it('ends in an error, and never in a hang or a crash, for arbitrary bytes', () =>
    inTempDir(async (dir) => {
      const path = join(dir, 'index');
      await writeLayer(path, { sizeBytes: 8 * BLOCK_SIZE, cells: [1, 2, 0, 0, undefined, 3, 3, 0] });
      const good = await readFile(path);
      const mutation = fc.record({ at: fc.nat(good.length - 1), bytes: fc.uint8Array({ maxLength: 40 }) });
      await fc.assert(
        fc.asyncProperty(mutation, async ({ at, bytes }) => {
          const mutated = Buffer.concat([good.subarray(0, at), bytes, good.subarray(at + 3)]);
          await writeFile(join(dir, 'bad'), mutated);
          const result = await code(collect(readDigestIndex(join(dir, 'bad'))));
          expect(result).to.equal(mutated.equals(good) ? 'no error' : 'digest_index_invalid');
        }),
        { numRuns: 200 },
      );
    }));

  it('refuses runs out of order, beyond the disk, or with a zero block given as data', () =>
    inTempDir(async (dir) => {
      const create = (name: string) =>
        createDigestWriter(join(dir, name), { virtualSizeBytes: 4 * BLOCK_SIZE, backupId: 'bkp_x' });
      const back = await create('back');
      await back.append(runsOfCells([undefined, 1]));
      expect(await code(back.append(runsOfCells([1])))).to.equal('digest_index_invalid');
      await back.abandon();
      const beyond = await create('beyond');
      expect(await code(beyond.append([{ kind: 'zero', first: 3, count: 2 }]))).to.equal(
        'digest_index_invalid',
      );
      await beyond.abandon();
      expect(await code(stat(join(dir, 'beyond')))).to.match(/^not a StrataError.*ENOENT/);
      const zeros = await create('zeros');
      const zeroDigest = await zeroBlockDigest();
      const run = { kind: 'data' as const, first: 0, count: 1, digests: zeroDigest };
      expect(await code(zeros.append([run]))).to.equal('digest_index_invalid');
      await zeros.abandon();
    }));

  it('never overwrites a file, and says so when there is none to read', () =>
    inTempDir(async (dir) => {
      await writeFile(join(dir, 'there'), 'x');
      const create = createDigestWriter(join(dir, 'there'), { virtualSizeBytes: 512, backupId: 'b' });
      expect(await code(create)).to.equal('file_exists');
      expect(await code(openDigestIndex(join(dir, 'absent')))).to.equal('file_missing');
    }));

  it('of a sparse disk of 2 TiB is small', () =>
    inTempDir(async (dir) => {
      const path = join(dir, 'index');
      const virtualSizeBytes = 2 * 1024 ** 4;
      const writer = await createDigestWriter(path, { virtualSizeBytes, backupId: 'bkp_sparse' });
      const half = virtualSizeBytes / BLOCK_SIZE / 2;
      await writer.append([{ kind: 'zero', first: 0, count: half }]);
      await writer.append([{ kind: 'data', first: half, count: 1, digests: digestOf(1) }]);
      await writer.append([{ kind: 'zero', first: half + 1, count: half - 1 }]);
      const totals = await writer.finish();
      expect(totals).to.deep.equal({ dataBlocks: 1, zeroBlocks: 2 * half - 1, fileBytes: 240 });
      expect((await stat(path)).size).to.equal(240);
      const index = await openDigestIndex(path);
      expect(index.header).to.deep.equal({ virtualSizeBytes, backupId: 'bkp_sparse' });
      await index.close();
    }));

  it('cuts long data runs, so that a reader needs little memory', () =>
    inTempDir(async (dir) => {
      const path = join(dir, 'index');
      const blocks = 10_000;
      const writer = await createDigestWriter(path, { virtualSizeBytes: blocks * BLOCK_SIZE, backupId: 'b' });
      const digests = Buffer.alloc(blocks * 16, digestOf(3));
      await writer.append([{ kind: 'data', first: 0, count: blocks, digests }]);
      await writer.finish();
      const runs = await collect(readDigestIndex(path));
      expect(runs.map((run) => run.count)).to.deep.equal([4096, 4096, 1808]);
      expect(cellsOfRuns(runs, blocks)).to.deep.equal(Array.from({ length: blocks }, () => 3));
    }));
});

async function zeroBlockDigest(): Promise<Buffer> {
  const { digestBlock } = await import('../../../../src/datapath/digests/block.js');
  const digest = Buffer.alloc(16);
  digestBlock(Buffer.alloc(512), digest, 0);
  return digest;
}
