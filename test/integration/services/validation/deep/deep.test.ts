import { expect } from 'chai';
import { copyFile, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { DataSource } from 'typeorm';
import { BackupJob, LayerProof } from '../../../../../src/entities/index.js';
import { buildChain, type ChainFixture, nthBackup } from '../../../../helpers/chainFixture.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../../../helpers/openSuite.js';
import { flip, overwriteBytes } from '../faultTools.js';
import { codes, healths, validate } from '../support.js';
import { placeOf, tablesOf } from './places.js';
import { namesBelow } from '../../../../helpers/namesBelow.js';

const BLOCK = 65536;
const MIB = 1024 ** 2;
const DEEP = { level: 'deep' } as const;

describe('deep validation', function () {
  this.timeout(60_000);
  let suite: DatabaseSuite;
  let ds: DataSource;
  let chain: ChainFixture;

  before(async () => {
    suite = await openDatabaseSuite();
    ({ ds } = suite);
  });

  beforeEach(async () => {
    chain = await buildChain(ds, suite.tempDir);
  });

  after(() => suite.close());

  /** A bit of the file that holds this byte of the guest's disk flips. */
  const rot = async (number: number, offset: number) => {
    const { image } = at(number);
    await flip(image, await placeOf(image, offset), 0x04);
  };
  const at = (number: number) => nthBackup(chain, number);

  it('proves every file of a healthy chain', async () => {
    const report = await validate(ds, chain, DEEP);
    expect(report.findings).to.deep.equal([]);
    expect(report).to.deep.include({ level: 'deep', healthy: true, chain_health: 'ok' });
    expect(report.read).to.deep.include({ files: 4, complete: true });
    // 2 MiB of the full, 2 blocks and 1 of the increments; the block of zeros is not read.
    expect(report.read?.bytes).to.be.within(2 * MIB + 4 * BLOCK, 3 * MIB);
    expect(report.backups.every(({ proved_at }) => proved_at !== null)).to.equal(true);
  });

  it('finds a flipped bit of data that no quick check sees, and says what it reaches', async () => {
    await rot(1, BLOCK + 5);
    await rot(1, 5);
    expect((await validate(ds, chain)).healthy).to.equal(true);
    const report = await validate(ds, chain, DEEP);
    // The increment 2 has written over the second block, and not over the first.
    expect(codes(chain, report)).to.deep.equal([
      '1:data_damaged',
      '2:data_below_damaged',
      '3:data_below_damaged',
      '4:data_below_damaged',
    ]);
    expect(await healths(ds, chain)).to.deep.equal({
      backups: 'damaged damaged damaged damaged',
      chain: 'damaged',
    });
    const [first, second] = report.backups;
    expect(first?.damaged).to.deep.equal([{ offset: 0, length: 2 * BLOCK }]);
    expect(first?.affected).to.deep.equal([{ offset: 0, length: 2 * BLOCK, in_backup: at(1).id }]);
    expect(second?.damaged).to.deep.equal([]);
    expect(second?.affected).to.deep.equal([{ offset: 0, length: BLOCK, in_backup: at(1).id }]);
  });

  it('leaves points alone that have written over what is damaged', async () => {
    await rot(1, BLOCK + 5);
    await rot(3, 12 * MIB);
    const report = await validate(ds, chain, DEEP);
    expect(codes(chain, report)).to.deep.equal(['1:data_damaged', '3:data_damaged']);
    expect((await healths(ds, chain)).backups).to.equal('damaged ok damaged ok');
    expect(report.affected).to.deep.equal([at(1).id, at(3).id]);
    // A quick check does not know better.
    const quick = await validate(ds, chain);
    expect(quick.healthy).to.equal(false);
    expect((await healths(ds, chain)).backups).to.equal('damaged ok damaged ok');
  });

  it('finds a block that a file has lost, which qemu-img check takes for a waste of room', async () => {
    const { l2 } = await tablesOf(at(2).image);
    await overwriteBytes(at(2).image, l2 + 8, Buffer.alloc(8));
    expect(codes(chain, await validate(ds, chain))).to.deep.equal(['2:image_leaks']);
    const report = await validate(ds, chain, DEEP);
    expect(codes(chain, report)).to.include.members(['2:data_damaged', '3:data_below_damaged']);
    expect(report.backups[1]?.damaged).to.deep.equal([{ offset: BLOCK, length: BLOCK }]);
    expect((await healths(ds, chain)).backups).to.equal('ok damaged damaged damaged');
  });

  it('finds a block that hides the data below, and leaves one alone that hides nothing', async () => {
    const { l2 } = await tablesOf(at(2).image);
    const zeroCluster = Buffer.from([0, 0, 0, 0, 0, 0, 0, 1]);
    await overwriteBytes(at(2).image, l2, zeroCluster);
    await overwriteBytes(at(2).image, l2 + 20 * 8, zeroCluster);
    expect(codes(chain, await validate(ds, chain))).to.deep.equal([]);
    const report = await validate(ds, chain, DEEP);
    expect(report.backups[1]?.damaged).to.deep.equal([{ offset: 0, length: BLOCK }]);
  });

  it('clears what was damaged when the file was put back', async () => {
    const copy = `${at(1).image}.copy`;
    await copyFile(at(1).image, copy);
    await rot(1, 5);
    await validate(ds, chain, DEEP);
    await copyFile(copy, at(1).image);
    await rm(copy);
    expect((await validate(ds, chain)).healthy).to.equal(false);
    const report = await validate(ds, chain, DEEP);
    expect(codes(chain, report)).to.deep.equal(['1:file_touched']);
    expect((await healths(ds, chain)).backups).to.equal('ok ok ok ok');
    const proof = await ds.getRepository(LayerProof).findOneByOrFail({ backupId: at(2).id });
    expect(proof.reach).to.equal(null);
    const row = await ds.getRepository(BackupJob).findOneByOrFail({ id: at(1).id });
    expect(row.damageLocated).to.equal(false);
  });

  it('builds a digest index anew that has rotted or is gone, where the image has the recorded content', async () => {
    const before = await readFile(at(1).digests);
    await flip(at(1).digests, 200, 0x10);
    await rm(at(3).digests);
    const report = await validate(ds, chain, DEEP);
    expect(codes(chain, report)).to.deep.equal(['1:digests_rebuilt', '3:digests_rebuilt']);
    expect(report.healthy).to.equal(true);
    expect(await healths(ds, chain)).to.deep.equal({ backups: 'ok ok ok ok', chain: 'ok' });
    const again = await validate(ds, chain, DEEP);
    expect(again.findings).to.deep.equal([]);
    // The whole disk is in the index of a full, whatever the fixture wrote.
    expect((await readFile(at(1).digests)).length).to.be.at.least(before.length);
    const set = (await namesBelow(join(chain.root, '.quarantine'))).map((name) => basename(name));
    expect(set).to.include(basename(at(1).digests));
    expect(set).to.not.include(basename(at(3).digests));
  });

  it('builds a digest index anew that has become a directory or a link to itself, and sets that aside', async () => {
    await rm(at(1).digests);
    await mkdir(join(at(1).digests, 'inside'), { recursive: true });
    await rm(at(3).digests);
    await symlink(basename(at(3).digests), at(3).digests);
    expect(codes(chain, await validate(ds, chain))).to.deep.equal(['1:digests_invalid', '3:digests_invalid']);
    const report = await validate(ds, chain, DEEP);
    expect(codes(chain, report)).to.deep.equal(['1:digests_rebuilt', '3:digests_rebuilt']);
    expect((await validate(ds, chain, DEEP)).findings).to.deep.equal([]);
    const aside = await namesBelow(join(chain.root, '.quarantine'));
    expect(aside.map((name) => basename(name))).to.include.members(['inside', basename(at(3).digests)]);
  });

  it('calls an image damaged that has neither a usable index nor the recorded content', async () => {
    await rm(at(2).digests);
    await rot(2, BLOCK);
    const report = await validate(ds, chain, DEEP);
    expect(codes(chain, report)).to.include('2:content_unproved');
    expect((await healths(ds, chain)).backups).to.equal('ok damaged suspect suspect');
    expect(await readdir(chain.directory)).to.not.include(basename(at(2).digests));
    expect((await readdir(chain.directory)).filter((name) => name.endsWith('.partial'))).to.deep.equal([]);
  });

  it('does not forget, by any check that reads no content, that an image without an index is damaged', async () => {
    const index = await readFile(at(2).digests);
    await rm(at(2).digests);
    await rot(2, BLOCK);
    await validate(ds, chain, DEEP);
    for (const put of [undefined, index]) {
      // With its index back, too: what has been read wrong is so until somebody reads it again.
      if (put) await writeFile(at(2).digests, put);
      expect(codes(chain, await validate(ds, chain))).to.include('2:content_wrong');
      expect((await healths(ds, chain)).backups).to.equal('ok damaged suspect suspect');
    }
    const report = await validate(ds, chain, DEEP);
    expect(codes(chain, report)).to.include('2:data_damaged');
    expect(report.backups[1]?.damaged).to.deep.equal([{ offset: BLOCK, length: BLOCK }]);
    const row = await ds.getRepository(BackupJob).findOneByOrFail({ id: at(2).id });
    expect([row.contentWrongAt, row.damageLocated]).to.deep.equal([null, true]);
  });

  it('clears an image that was damaged without an index when a copy of it is put back', async () => {
    const copy = await readFile(at(2).image);
    await rm(at(2).digests);
    await rot(2, BLOCK);
    await validate(ds, chain, DEEP);
    await writeFile(at(2).image, copy);
    await validate(ds, chain);
    expect((await healths(ds, chain)).backups).to.equal('ok damaged suspect suspect');
    expect(codes(chain, await validate(ds, chain, DEEP))).to.include('2:digests_rebuilt');
    expect((await healths(ds, chain)).backups).to.equal('ok ok ok ok');
    const row = await ds.getRepository(BackupJob).findOneByOrFail({ id: at(2).id });
    expect(row.contentWrongAt).to.equal(null);
  });

  it('says where a restore went wrong that no check had explained, and that it was the restore', async () => {
    await ds.query('UPDATE backup_jobs SET content_wrong_at = UTC_TIMESTAMP(3) WHERE id = ?', [at(2).id]);
    expect(codes(chain, await validate(ds, chain))).to.deep.equal(['2:content_wrong']);
    expect(codes(chain, await validate(ds, chain, DEEP))).to.deep.equal([]);
    const row = await ds.getRepository(BackupJob).findOneByOrFail({ id: at(2).id });
    expect(row.contentWrongAt).to.equal(null);
  });
});
