import { expect } from 'chai';
import { readdirSync, statSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DataSource } from 'typeorm';
import { readSteps } from '../../../../src/db/job/journal.js';
import { BackupJob } from '../../../../src/entities/index.js';
import { compareImages } from '../../../../src/qcow2/index.js';
import { attemptBackup } from '../../../helpers/backupService.js';
import { buildChain, type ChainFixture, nthBackup } from '../../../helpers/chainFixture.js';
import { addBackup } from '../../../helpers/chainJobs.js';
import { type FailingDisk, openFailingDisk } from '../../../helpers/failingDisk.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../../helpers/openSuite.js';
import { placeOf, tablesOf } from '../validation/deep/places.js';
import { codes, healths, validate } from '../validation/support.js';

const BLOCK = 65_536;
const MIB = 1024 ** 2;

describe('The backup of a disk whose repository has bad sectors', function () {
  this.timeout(120_000);
  let suite: DatabaseSuite;
  let ds: DataSource;
  let disk: FailingDisk;
  let chain: ChainFixture;
  let source: string;

  before(async () => {
    suite = await openDatabaseSuite();
    ({ ds } = suite);
  });

  beforeEach(async () => {
    disk = await openFailingDisk(suite.tempDir, 'failing');
    chain = await buildChain(ds, disk.path);
    source = join(suite.tempDir, `${chain.chainId}.raw`);
    await writeFile(source, content());
  });

  afterEach(() => disk.remove());

  after(() => suite.close());

  const at = (number: number) => nthBackup(chain, number);
  /** The disk as it is now: one block has changed since the latest backup. */
  const content = () => Buffer.from(at(4).content).fill(0x5a, 5 * MIB, 5 * MIB + BLOCK);
  const failBlock = async (number: number, offset: number) =>
    disk.failAt(at(number).image, await placeOf(at(number).image, offset));
  const backUp = async (rate?: () => number) => {
    const id = await addBackup(ds, chain, source);
    await attemptBackup(ds, id, suite.tempDir, (held) => (rate ? { ...held, rate } : held));
    return ds.getRepository(BackupJob).findOneByOrFail({ id });
  };
  /** Copies of the chain's images that have their length already, and no content yet. */
  const emptyPartials = () =>
    readdirSync(chain.directory).filter((name) => {
      if (!/\.qcow2\.\d+\.partial$/.test(name)) return false;
      const { size, blocks } = statSync(join(chain.directory, name));
      return size > 0 && blocks === 0;
    });
  const stepOf = async ({ id }: BackupJob) =>
    (await readSteps(ds, id)).find(({ step }) => step === 'healed')?.data;
  const expectRight = async (path: string, was: Buffer) => {
    const raw = join(suite.tempDir, 'was.raw');
    await writeFile(raw, was);
    const { identical } = await compareImages(
      { type: 'file', path: join(chain.root, path), format: 'qcow2' },
      { type: 'file', path: raw, format: 'raw' },
    );
    expect(identical, path).to.equal(true);
  };
  /** A full that opens a segment, and stands on nothing that cannot be read; the one after stands on it. */
  const expectNewSegment = async (newest: BackupJob, demotedReason: string) => {
    expect(newest).to.include({ backupType: 'full', demotedReason, parentBackupId: null, health: 'ok' });
    await expectRight(newest.repositoryPath ?? '', await readFile(source));
    expect(await backUp()).to.include({ backupType: 'incremental', parentBackupId: newest.id });
  };

  it('gets back from the source what the disk does not give of the data, so that every point is right again', async () => {
    await failBlock(1, 8 * MIB + 5 * BLOCK + 9);
    await failBlock(4, 12 * MIB + 7);
    const report = await validate(ds, chain, { level: 'deep' });
    expect(codes(chain, report)).to.include.members(['1:data_unreadable', '4:data_unreadable']);
    expect((await healths(ds, chain)).backups).to.equal('suspect suspect suspect suspect');
    const copied = new Set<string>();
    const newest = await backUp(() => {
      for (const name of emptyPartials()) copied.add(name);
      return 1024 * MIB;
    });
    expect(copied.size, 'copies that were asked for their bandwidth before they had a byte').to.equal(2);
    expect(newest).to.include({ backupType: 'incremental', demotedReason: null, parentBackupId: at(4).id });
    expect(await stepOf(newest)).to.deep.equal({ backup_ids: [at(1).id, at(4).id], failed: null });
    for (const { path, content: was } of chain.backups) await expectRight(path, was);
    await expectRight(newest.repositoryPath ?? '', content());
    expect((await validate(ds, chain, { level: 'deep' })).findings).to.deep.equal([]);
    expect(await healths(ds, chain)).to.deep.equal({ backups: 'ok ok ok ok ok', chain: 'ok' });
  });

  it('is a full where the source holds something else by now in what the disk does not give', async () => {
    await failBlock(1, 5);
    await validate(ds, chain, { level: 'deep' });
    await writeFile(source, content().fill(0x77, 0, 10));
    const newest = await backUp();
    expect(await stepOf(newest)).to.deep.equal({ backup_ids: [], failed: 'not_current' });
    await expectNewSegment(newest, 'parent_suspect');
  });

  it('is a full where the disk does not give a table or the header of an image', async () => {
    for (const place of ['l2', 'header'] as const) {
      const image = at(place === 'l2' ? 2 : 3).image;
      await disk.failAt(image, place === 'l2' ? (await tablesOf(image)).l2 : 0);
      const report = await validate(ds, chain);
      expect(
        report.findings.map(({ code }) => code),
        place,
      ).to.include('unreadable');
      await expectNewSegment(await backUp(), 'parent_suspect');
      chain = await buildChain(ds, disk.path);
    }
  });

  it('is a full where the disk does not give a digest index or a header, and nobody has looked before', async () => {
    for (const file of ['digests', 'image'] as const) {
      await disk.failAt(at(3)[file], 0);
      await expectNewSegment(await backUp(), 'parent_unreadable');
      chain = await buildChain(ds, disk.path);
    }
  });

  it('is an increment again where what was suspected has passed', async () => {
    const { chainId } = chain;
    await ds.query("UPDATE backup_jobs SET health = 'suspect' WHERE chain_id = ?", [chainId]);
    expect(await backUp()).to.include({ backupType: 'incremental', demotedReason: null });
    expect(await healths(ds, chain)).to.deep.equal({ backups: 'ok ok ok ok ok', chain: 'ok' });
  });
});
