import { chmod, link } from 'node:fs/promises';
import { expect } from 'chai';
import type { DataSource } from 'typeorm';
import { buildChain, type ChainFixture } from '../../../helpers/chainFixture.js';
import { openSmallDisk, type SmallDisk } from '../../../helpers/mounts.js';
import { runTool } from '../../../helpers/runTool.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../../helpers/openSuite.js';
import { placeOf } from './deep/places.js';
import { flip } from './faultTools.js';
import { codes, validate } from './support.js';

const MIB = 1024 ** 2;

describe('A file of a repository that somebody else has touched', function () {
  this.timeout(60_000);
  let suite: DatabaseSuite;
  let ds: DataSource;
  let disk: SmallDisk;
  let chain: ChainFixture;

  before(async () => {
    suite = await openDatabaseSuite();
    ({ ds } = suite);
  });

  /** A chain that was published long ago: no program can set a change time, so that this is done below the file system. */
  beforeEach(async () => {
    disk = await openSmallDisk(suite.tempDir, 'old', 64 * MIB);
    chain = await buildChain(ds, disk.path);
    await runTool('sync', '-f', disk.path);
    await runTool('umount', disk.path);
    for (const { image, digests, manifest } of chain.backups) {
      for (const file of [image, digests, manifest]) {
        const name = file.slice(disk.path.length);
        const request = `set_inode_field ${name} ctime 20260101120000`;
        await runTool('debugfs', '-w', '-R', request, `${disk.path}.ext4`);
      }
    }
    await disk.mount();
  });

  afterEach(() => disk.remove());

  after(() => suite.close());

  const image = (number: number): string => chain.backups[number - 1]?.image ?? '';
  const found = async (level: 'quick' | 'deep' = 'quick') =>
    codes(chain, await validate(ds, chain, { level }));

  it('is named, although its mtime was set back, until it has been read and is proved', async () => {
    expect(await found()).to.deep.equal([]);
    // As `touch -d` after a write.
    const place = await placeOf(image(2), 65_536);
    await flip(image(2), place);
    await link(image(4), `${disk.path}/elsewhere`);
    expect(await found()).to.deep.equal(['2:file_touched', '4:file_touched']);
    // What has been read since is known: of what is right, nothing is left to say.
    expect((await found('deep')).filter((code) => !code.includes('below'))).to.deep.equal(['2:data_damaged']);
    await flip(image(2), place);
    expect(await found()).to.include('2:file_touched');
    expect(await found('deep')).to.deep.equal([]);
    expect(await found()).to.deep.equal([]);
  });

  it('is not one of a repository whose files all got another mode', async () => {
    for (const { image: file, digests, manifest } of chain.backups)
      for (const each of [file, digests, manifest]) await chmod(each, 0o600);
    expect(await found()).to.deep.equal([]);
  });
});
