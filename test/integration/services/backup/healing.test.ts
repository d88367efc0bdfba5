import { expect } from 'chai';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { DataSource } from 'typeorm';
import { readSteps } from '../../../../src/db/job/journal.js';
import { BackupJob } from '../../../../src/entities/index.js';
import { compareImages } from '../../../../src/qcow2/index.js';
import { StrataError } from '../../../../src/shared/errors.js';
import { attemptBackup } from '../../../helpers/backupService.js';
import { buildChain, type ChainFixture, nthBackup } from '../../../helpers/chainFixture.js';
import { addBackup } from '../../../helpers/chainJobs.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../../helpers/openSuite.js';
import { placeOf, tablesOf } from '../validation/deep/places.js';
import { flip, overwriteBytes } from '../validation/faultTools.js';
import { codes, healths, validate } from '../validation/support.js';
import { namesBelow } from '../../../helpers/namesBelow.js';

const BLOCK = 65_536;
const MIB = 1024 ** 2;
const DEEP = { level: 'deep' } as const;

describe('The backup after damage was found', function () {
  this.timeout(60_000);
  let suite: DatabaseSuite;
  let ds: DataSource;
  let chain: ChainFixture;
  let disk: string;

  before(async () => {
    suite = await openDatabaseSuite();
    ({ ds } = suite);
  });

  beforeEach(async () => {
    chain = await buildChain(ds, suite.tempDir);
    disk = join(suite.tempDir, `${chain.chainId}.raw`);
    await writeFile(disk, content());
  });

  after(() => suite.close());

  const at = (number: number) => nthBackup(chain, number);
  /** The disk as it is now: one block has changed since the latest backup. */
  const content = () => Buffer.from(at(4).content).fill(0x5a, 5 * MIB, 5 * MIB + BLOCK);
  const rot = async (number: number, offset: number) =>
    flip(at(number).image, await placeOf(at(number).image, offset), 0x04);
  const backUp = async () => {
    const jobId = await addBackup(ds, chain, disk);
    await attemptBackup(ds, jobId, suite.tempDir);
    return rowOf(jobId);
  };
  const rowOf = (id: string) => ds.getRepository(BackupJob).findOneByOrFail({ id });
  const quarantined = async () =>
    (await namesBelow(join(chain.root, '.quarantine')).catch(() => []))
      .map((name) => basename(name))
      .filter((name) => name.endsWith('.qcow2'))
      .toSorted();
  /** Every point by plain qemu-img, and the new one. */
  const expectAllRight = async (newest: BackupJob) => {
    const all = [
      ...chain.backups.map(({ path, content: was }) => ({ path, was })),
      { path: newest.repositoryPath ?? '', was: await readFile(disk) },
    ];
    const raw = join(suite.tempDir, 'was.raw');
    for (const { path, was } of all) {
      await writeFile(raw, was);
      const { identical } = await compareImages(
        { type: 'file', path: join(chain.root, path), format: 'qcow2' },
        { type: 'file', path: raw, format: 'raw' },
      );
      expect(identical, path).to.equal(true);
    }
  };
  const stepOf = async ({ id }: BackupJob) =>
    (await readSteps(ds, id)).find(({ step }) => step === 'healed')?.data;

  it('puts back what the source still holds, so that every point is right again, and is an increment', async () => {
    await rot(1, 5);
    await rot(1, 8 * MIB + 5 * BLOCK);
    await rot(4, 12 * MIB + 7);
    await validate(ds, chain, DEEP);
    expect((await healths(ds, chain)).backups).to.equal('damaged damaged damaged damaged');
    const rotten = await readFile(at(1).image);
    const { size, mtimeMs } = await stat(at(1).image);
    const newest = await backUp();
    expect(newest).to.include({ backupType: 'incremental', demotedReason: null, parentBackupId: at(4).id });
    await expectAllRight(newest);
    expect(await healths(ds, chain)).to.deep.equal({ backups: 'ok ok ok ok ok', chain: 'ok' });
    expect(await stepOf(newest)).to.deep.equal({ backup_ids: [at(1).id, at(4).id], failed: null });
    // The files are what their manifests say again, and what was wrong is kept.
    const healed = await stat(at(1).image);
    expect(healed.size).to.equal(size);
    expect(healed.mtimeMs).to.be.closeTo(mtimeMs, 0.99);
    const aside = await quarantined();
    expect(aside).to.deep.equal([basename(at(1).image), basename(at(4).image)].toSorted());
    const [kept] = (await namesBelow(join(chain.root, '.quarantine'))).filter((name) =>
      name.endsWith(basename(at(1).image)),
    );
    expect((await readFile(join(chain.root, '.quarantine', kept ?? ''))).equals(rotten)).to.equal(true);
    const after = await validate(ds, chain, DEEP);
    expect(after.findings).to.deep.equal([]);
  });

  it('is a full of a new segment where the source holds something else by now, and nothing is touched', async () => {
    await rot(1, 5);
    await rot(1, 8 * MIB + 5 * BLOCK);
    await validate(ds, chain, DEEP);
    const image = await readFile(at(1).image);
    await writeFile(disk, content().fill(0x77, 0, 10));
    const newest = await backUp();
    expect(newest).to.include({ backupType: 'full', demotedReason: 'parent_damaged', parentBackupId: null });
    expect(await stepOf(newest)).to.deep.equal({ backup_ids: [], failed: 'not_current' });
    expect((await readFile(at(1).image)).equals(image)).to.equal(true);
    expect(await quarantined()).to.deep.equal([]);
    expect((await healths(ds, chain)).backups).to.equal('damaged damaged damaged damaged ok');
    // The next one stands on the new segment.
    expect(await backUp()).to.include({ backupType: 'incremental', parentBackupId: newest.id });
  });

  it('is a full where anything but ranges of data is wrong', async () => {
    await rot(1, 5);
    const { l2 } = await tablesOf(at(2).image);
    await flip(at(2).image, l2 + 8 + 5, 0x01);
    await validate(ds, chain, DEEP);
    expect(await backUp()).to.include({ backupType: 'full', demotedReason: 'parent_damaged' });
    expect(await quarantined()).to.deep.equal([]);
  });

  it('is a full where the file would not become what was published: a block that it has lost has no place', async () => {
    const { l2 } = await tablesOf(at(2).image);
    await overwriteBytes(at(2).image, l2 + 8, Buffer.alloc(8));
    await validate(ds, chain, DEEP);
    const newest = await backUp();
    expect(newest).to.include({ backupType: 'full', demotedReason: 'parent_damaged' });
    expect(await stepOf(newest)).to.deep.include({ backup_ids: [] });
    expect(await quarantined()).to.deep.equal([]);
  });

  it('is a full where rot that no validation has seen is in the file, too', async () => {
    await rot(1, 5);
    await validate(ds, chain, DEEP);
    await rot(1, 8 * MIB + 6 * BLOCK);
    const newest = await backUp();
    expect(newest).to.include({ backupType: 'full', demotedReason: 'parent_damaged' });
    expect(await stepOf(newest)).to.deep.equal({ backup_ids: [], failed: 'not_proved' });
  });

  it('heals when the attempt before lost its lease just before, or just after, the file got its name', async () => {
    for (const moment of ['before', 'after'] as const) {
      await rot(1, moment === 'before' ? 5 : 3 * BLOCK + 5);
      await validate(ds, chain, DEEP);
      const jobId = await addBackup(ds, chain, disk);
      let asked = 0;
      const cut = attemptBackup(ds, jobId, suite.tempDir, (held) => ({
        ...held,
        assertHeld: async () => {
          asked++;
          if (asked === 2 && moment === 'before') throw new StrataError('lease_lost', 'It was lost.');
          // The name is given, and the catalogue does not hear of it.
          if (asked === 2)
            await ds.query('UPDATE backup_chains SET fence = fence + 1 WHERE id = ?', [chain.chainId]);
        },
      }));
      expect(await codeOf(cut), moment).to.equal('lease_lost');
      const names = await readdir(chain.directory);
      expect(
        names.filter((name) => name.endsWith('.partial')),
        moment,
      ).to.deep.equal([]);
      await attemptBackup(ds, jobId, suite.tempDir);
      const newest = await rowOf(jobId);
      expect(newest, moment).to.include({ backupType: 'incremental', demotedReason: null });
      expect(codes(chain, await validate(ds, chain, DEEP)), moment).to.deep.equal([]);
      // The next round has this one as its latest.
      await writeFile(disk, content());
    }
  });
});
