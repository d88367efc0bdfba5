import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, open, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { changeDisk } from '../../../../src/main/demo/changeDisk.js';
import { makeDisk, PARTITION_OFFSET } from '../../../../src/main/demo/makeDisk.js';
import { userTarget } from '../../../../src/main/demo/target.js';
import { codeOf } from '../../../helpers/codeOf.js';

const MIB = 1024 * 1024;
const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;

function tool(program: string, ...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    env: { ...process.env, PATH },
  });
  return { status, output: stdout + stderr };
}

describe('demonstration disk', function () {
  this.timeout(120_000);
  let dir = '';
  let disk = '';

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'demo-'));
    const files = join(dir, 'files');
    await mkdir(join(files, 'deep'), { recursive: true });
    await writeFile(join(files, 'deep', 'hello.txt'), 'hello disk');
    await writeFile(join(files, 'secret.key'), 'secret');
    await chmod(join(files, 'secret.key'), 0o600);
    await symlink('/etc/passwd', join(files, 'link'));
    disk = join(dir, 'sources', 'demo.raw');
    await makeDisk(disk, { size: 32 * MIB, files: MIB, sources: [files, '/nonexistent'] });
  });

  after(() => rm(dir, { recursive: true, force: true }));

  const inPartition = () => `${disk}?offset=${PARTITION_OFFSET}`;

  it('has a partition table whose one entry is the Linux partition', async () => {
    const file = await open(disk);
    const sector = Buffer.alloc(512);
    await file.read(sector, 0, 512, 0);
    const { size } = await file.stat();
    await file.close();
    expect(size).to.equal(32 * MIB);
    expect([sector[510], sector[511], sector[450]]).to.deep.equal([0x55, 0xaa, 0x83]);
    expect(sector.readUInt32LE(454) * 512).to.equal(PARTITION_OFFSET);
    expect(sector.readUInt32LE(458) * 512).to.equal(31 * MIB);
  });

  it('holds a sound ext4 file system with the files that everybody may read, and no others', () => {
    expect(tool('e2fsck', '-fn', inPartition()).status).to.equal(0);
    expect(tool('debugfs', '-R', 'cat /files/deep/hello.txt', inPartition()).output).to.contain('hello disk');
    const listing = tool('debugfs', '-R', 'ls -p /files', inPartition()).output;
    expect(listing).to.contain('/deep/').and.to.not.contain('secret').and.to.not.contain('link');
  });

  it('leaves nothing but the disk behind', async () => {
    expect(await readdir(join(dir, 'sources'))).to.deep.equal(['demo.raw']);
  });

  it('is changed as often as wanted without filling up, and stays sound', async () => {
    for (let round = 0; round < 6; round++) {
      const change = await changeDisk(disk, `2025112200000${round}`);
      expect(change.written).to.have.length(3);
      expect(change.removed).to.have.length(3);
      if (round === 0) expect(change.removed).to.deep.equal(['old-0.bin', 'old-1.bin', 'old-2.bin']);
    }
    expect(tool('e2fsck', '-fn', inPartition()).status).to.equal(0);
  });

  it('says so when debugfs could not change it', async () => {
    const bare = join(dir, 'bare.raw');
    await writeFile(bare, Buffer.alloc(4 * MIB));
    expect(await codeOf(changeDisk(bare, 'x'))).to.equal('tool_failed');
  });

  it('takes a disk of the user’s only when it can be read and its format is known', async () => {
    const image = join(dir, 'My Web 01.qcow2');
    await writeFile(image, 'x');
    const target = await userTarget(image, undefined);
    expect(target).to.deep.include({
      own: false,
      vmName: 'My_Web_01',
      source: { type: 'file', path: image, format: 'qcow2' },
    });
    expect(target.access).to.deep.equal({ sourceRoots: [image], nbdAllow: [] });
    await writeFile(join(dir, 'a.iso'), 'x');
    await writeFile(join(dir, 'empty.raw'), '');
    expect(await codeOf(userTarget(join(dir, 'a.iso'), undefined))).to.equal('unknown_format');
    expect((await userTarget(join(dir, 'a.iso'), 'raw')).source).to.include({ format: 'raw' });
    for (const name of ['none.raw', 'empty.raw', '.']) {
      expect(await codeOf(userTarget(join(dir, name), undefined)), name).to.equal('source_missing');
    }
    expect(await codeOf(userTarget('/dev/null', undefined))).to.equal('source_missing');
  });

  it('allows the one server of an NBD URI, and nothing else', async () => {
    const tcp = await userTarget('nbd://host:10810/vol', undefined);
    expect([tcp.vmName, tcp.access]).to.deep.equal([
      'nbd-host-vol',
      { sourceRoots: [], nbdAllow: ['host:10810'] },
    ]);
    const unix = await userTarget('nbd+unix:///vol?socket=/run/nbd/a.sock', undefined);
    expect(unix.access).to.deep.equal({ sourceRoots: [], nbdAllow: ['/run/nbd/a.sock'] });
    expect(await codeOf(userTarget('nbd://', undefined))).to.equal('invalid_request');
  });
});
