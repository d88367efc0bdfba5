import { expect } from 'chai';
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupJob } from '../../../../src/entities/index.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { placeOf, tablesOf } from '../validation/deep/places.js';
import { flip } from '../validation/faultTools.js';
import { validate } from '../validation/support.js';
import { names, openBench, type RestoreBench } from './support.js';

const BLOCK = 65536;

describe('a restore of a damaged backup that is asked for all the same', function () {
  this.timeout(60_000);
  let bench: RestoreBench;
  let path: string;

  beforeEach(async () => {
    bench = await openBench();
    path = join(bench.target, 'x.raw');
  });

  afterEach(() => bench.close());

  const rot = async (number: number, offset: number) =>
    flip(bench.at(number).image, await placeOf(bench.at(number).image, offset));
  const rowOf = (number: number) =>
    bench.ds.getRepository(BackupJob).findOneByOrFail({ id: bench.at(number).id });
  /** The restored file is what was backed up, but for these ranges. */
  const expectRightBut = async (number: number, ranges: readonly { offset: number; length: number }[]) => {
    const found = await readFile(path);
    const { content } = bench.at(number);
    expect(found.equals(content)).to.equal(ranges.length === 0);
    for (const { offset, length } of ranges) content.copy(found, offset, offset, offset + length);
    expect(found.equals(content)).to.equal(true);
  };

  it('is refused without the word, and with it names exactly the ranges that are not what was backed up', async () => {
    await rot(1, 5);
    await rot(1, BLOCK + 5);
    await rot(3, 12 * 1024 ** 2 + 9);
    await validate(bench.ds, bench.chain, { level: 'deep' });
    expect(await codeOf(bench.restore({ number: 3, path }))).to.equal('backup_damaged');
    expect(await names(bench)).to.deep.equal([]);
    const result = await bench.restore({ number: 3, path, allowDamaged: true });
    const ranges = [
      { offset: 0, length: BLOCK },
      { offset: 12 * 1024 ** 2, length: BLOCK },
    ];
    expect(result).to.include({ verified: false });
    expect(result.damage).to.deep.equal({ ranges, bytes: 2 * BLOCK, more: false });
    await expectRightBut(3, ranges);
    // The validation has located it: there is nothing to add.
    expect((await rowOf(3)).contentWrongAt).to.equal(null);
  });

  it('finds what no validation has found, and notes it in the catalogue', async () => {
    await rot(1, 5);
    const result = await bench.restore({ path, allowDamaged: true });
    expect(result.damage).to.deep.equal({
      ranges: [{ offset: 0, length: BLOCK }],
      bytes: BLOCK,
      more: false,
    });
    expect((await rowOf(4)).contentWrongAt).to.not.equal(null);
  });

  it('is verified where nothing of the point is damaged', async () => {
    const result = await bench.restore({ path, allowDamaged: true });
    expect(result).to.deep.include({ verified: true, damage: { ranges: [], bytes: 0, more: false } });
    await expectRightBut(4, []);
  });

  it('reads on where QEMU cannot read, and gives zeros there', async () => {
    const { l2 } = await tablesOf(bench.at(1).image);
    // The second block of the last written MiB: its cluster's offset is no multiple of 64 KiB any more.
    const block = (9 * 1024 ** 2 - BLOCK) / BLOCK;
    await flip(bench.at(1).image, l2 + block * 8 + 6, 0x02);
    expect(await codeOf(bench.restore({ number: 1, path }))).to.equal('image_unreadable');
    const result = await bench.restore({ number: 1, path, allowDamaged: true });
    const ranges = [{ offset: block * BLOCK, length: BLOCK }];
    expect(result.damage).to.deep.equal({ ranges, bytes: BLOCK, more: false });
    await expectRightBut(1, ranges);
    expect(
      (await readFile(path)).subarray(block * BLOCK, (block + 1) * BLOCK).every((byte) => byte === 0),
    ).to.equal(true);
  });

  it('says that it does not know where the damage is, where no index tells', async () => {
    await rot(1, 5);
    await rm(bench.at(1).digests);
    const result = await bench.restore({ path, allowDamaged: true });
    expect(result).to.deep.include({ verified: false, damage: { ranges: null, bytes: null, more: false } });
    expect((await stat(path)).size).to.equal(bench.at(4).virtualSize);
  });

  it('is proved by the content id alone where an index is gone and the content is right', async () => {
    await rm(bench.at(2).digests);
    const result = await bench.restore({ path, allowDamaged: true });
    expect(result).to.deep.include({ verified: true, damage: { ranges: [], bytes: 0, more: false } });
  });

  it('cannot do without the proof, nor follow a chain that is not the recorded one', async () => {
    expect(await codeOf(bench.restore({ path, allowDamaged: true, verify: false }))).to.equal(
      'invalid_request',
    );
    await rm(bench.at(2).image);
    expect(await codeOf(bench.restore({ path, allowDamaged: true }))).to.equal('file_missing');
    expect(await names(bench)).to.deep.equal([]);
  });
});
