import { readdirSync, closeSync, openSync, writeSync } from 'node:fs';
import { mkdir, mkdtemp, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob } from '../../../../src/entities/index.js';
import { isStrataError, type StrataError } from '../../../../src/shared/errors.js';
import { PLAIN_CHAIN } from '../../../helpers/chainFixture.js';
import { loopOver } from '../../../helpers/loopDevices.js';
import { startQemuNbd, startStorageDaemon } from '../../../helpers/nbdServers.js';
import { runTool } from '../../../helpers/runTool.js';
import { placeOf, tablesOf } from '../validation/deep/places.js';
import { flip, overwriteBytes } from '../validation/faultTools.js';
import { validate } from '../validation/support.js';
import { names, openBench, type RestoreBench, type RestoreWish } from './support.js';

const BLOCK = 65536;
const MIB = 1024 ** 2;

describe('a restore that goes wrong accuses the side that is wrong:', function () {
  this.timeout(120_000);
  let bench: RestoreBench;
  let path: string;
  let cleanUp: (() => Promise<unknown>)[];

  beforeEach(async () => {
    cleanUp = [];
    bench = await openBench(PLAIN_CHAIN);
    path = join(bench.target, 'x.raw');
  });

  afterEach(async () => {
    for (const undo of cleanUp.toReversed()) await undo();
    await bench.close();
  });

  const failure = async (wish: Partial<RestoreWish> = {}): Promise<StrataError> => {
    const error: unknown = await bench.restore({ path, ...wish }).then(
      () => new Error('It did not fail.'),
      (reason: unknown) => reason,
    );
    if (isStrataError(error)) return error;
    throw error;
  };
  const rowOf = (number: number) =>
    bench.ds.getRepository(BackupJob).findOneByOrFail({ id: bench.at(number).id });
  const isAccused = async (number: number) => (await rowOf(number)).contentWrongAt !== null;

  /** Somebody writes to the restored file, between the copy and the look at it. */
  const spoil = (offset: number) => {
    let done = false;
    return ({ phase }: { phase: string }) => {
      if (phase !== 'verifying' || done) return;
      done = true;
      const [partial = ''] = readdirSync(bench.target).filter((name) => name.endsWith('.partial'));
      const file = openSync(join(bench.target, partial, 'x.raw'), 'r+');
      writeSync(file, Buffer.from('spoilt'), 0, 6, offset);
      closeSync(file);
    };
  };

  it('not the backup where the target does not hold what was written, and clears a backup that was accused so', async () => {
    await bench.ds.query('UPDATE backup_jobs SET content_wrong_at = UTC_TIMESTAMP(3) WHERE id = ?', [
      bench.at(4).id,
    ]);
    const error = await failure({ report: spoil(3 * MIB) });
    expect(error).to.include({ code: 'target_unreliable', outcome: 'give_up' });
    expect(error.message).to.contain('read once more, and is right');
    expect(await isAccused(4)).to.equal(false);
    expect(await names(bench)).to.deep.equal([]);
    expect(await bench.restore({ path, verify: false })).to.include({ verified: false });
  });

  it('the backup where it is not what was backed up any more, and the target is what the backup is', async () => {
    await flip(bench.at(1).image, await placeOf(bench.at(1).image, 5));
    const error = await failure();
    expect(error.code).to.equal('content_mismatch');
    expect(await isAccused(4)).to.equal(true);
    expect(await names(bench)).to.deep.equal([]);
  });

  it('the target where it has more wrong than the damaged backup, whose damage is named no larger than it is', async () => {
    const sound = await failure({ allowDamaged: true, report: spoil(3 * MIB) });
    expect(sound.code).to.equal('target_unreliable');
    expect(sound.message).to.contain('read once more, and is right');
    expect(await isAccused(4)).to.equal(false);
    await flip(bench.at(1).image, await placeOf(bench.at(1).image, 5));
    const more = await failure({ allowDamaged: true, report: spoil(3 * MIB) });
    expect(more.code).to.equal('target_unreliable');
    expect(more.details['damage']).to.deep.include({ bytes: 2 * BLOCK });
    const ranges = [{ offset: 0, length: BLOCK }];
    expect(more.details['of_point']).to.deep.include({ ranges, bytes: BLOCK });
    expect(await names(bench)).to.deep.equal([]);
    const { damage } = await bench.restore({ path, allowDamaged: true });
    expect(damage).to.deep.include({ ranges, bytes: BLOCK });
  });

  it('neither where the image cannot be read: that has a code of its own, and the backup is not called wrong', async () => {
    const { l2 } = await tablesOf(bench.at(1).image);
    // The second block of the last written MiB: its cluster's offset is no multiple of 64 KiB any more.
    await flip(bench.at(1).image, l2 + ((9 * MIB - BLOCK) / BLOCK) * 8 + 6, 0x02);
    for (const maxBytesPerSecond of [undefined, 512 * MIB]) {
      const held: RestoreWish['held'] = (lease) =>
        maxBytesPerSecond === undefined ? lease : { ...lease, rate: () => maxBytesPerSecond };
      const error = await failure({ number: 1, held });
      expect(error, error.message).to.include({ code: 'image_unreadable', outcome: 'retry' });
    }
    await overwriteBytes(bench.at(1).image, 0, Buffer.alloc(4096));
    expect(await failure({ number: 1 })).to.include({ code: 'image_unreadable' });
    expect(await isAccused(1)).to.equal(false);
  });

  it('whoever has locked a file of the repository, by name; the restore waits, and is right when it has ended', async () => {
    const server = await startQemuNbd(bench.at(2).image, '-f', 'qcow2');
    cleanUp.push(() => server.stop());
    const error = await failure();
    expect(error).to.include({ code: 'repository_file_in_use', outcome: 'wait' });
    expect(error.message).to.contain(`locked by qemu-nbd (process ${server.child.pid})`);
    expect(error.message).to.contain(bench.at(2).path);
    await server.stop();
    expect(await bench.restore({ path })).to.include({ verified: true });
  });

  it('whoever has locked a file of the repository, in the words of a validation too', async () => {
    const server = await startQemuNbd(bench.at(2).image, '-f', 'qcow2');
    cleanUp.push(() => server.stop());
    const { findings } = await validate(bench.ds, bench.chain);
    const said = findings.filter(({ code }) => code === 'unreadable').map(({ message }) => message);
    expect(said.join('\n')).to.contain(`locked by qemu-nbd (process ${server.child.pid})`);
  });

  /** A loop device over a disk that QEMU makes: as a real one it fails by itself, below all of the kernel's caches. */
  const openDisk = async (...blockdev: string[]): Promise<string> => {
    const directory = await mkdtemp(join(bench.suite.tempDir, 'd-'));
    const served = join(directory, 'served');
    for (const name of ['served', 'store']) await writeFile(join(directory, name), '');
    await truncate(join(directory, 'store'), 32 * MIB);
    const args = blockdev.map((arg) => arg.replace('DIRECTORY', directory));
    const daemon = await startStorageDaemon(
      ...args,
      '--export',
      `type=fuse,id=disk,node-name=disk,mountpoint=${served},writable=on`,
    );
    cleanUp.push(() => daemon.stop());
    const device = await loopOver(served, 'cache');
    cleanUp.push(() => device.detach());
    return device.path;
  };

  const failing = (iotype: string, sector: number) => {
    const errors = [{ event: 'none', iotype, sector, once: false }];
    const disk = { driver: 'blkdebug', 'node-name': 'failing', image: 'store', 'inject-error': errors };
    return openDisk(
      '--blockdev',
      'driver=file,node-name=store,filename=DIRECTORY/store',
      '--blockdev',
      JSON.stringify(disk),
      '--blockdev',
      'driver=raw,node-name=disk,file=failing',
    );
  };

  for (const limit of [undefined, 512 * MIB]) {
    it(`the device where it does not take a write${limit === undefined ? '' : ', under a limit too'}`, async () => {
      const device = await failing('write', (8 * MIB) / 512 + 600);
      const held: RestoreWish['held'] = (lease) =>
        limit === undefined ? lease : { ...lease, rate: () => limit };
      const error = await failure({ path: device, roots: ['/dev'], held });
      expect(error.code, error.message).to.equal('target_unreliable');
      expect(error.message).to.contain(device);
      expect(await isAccused(4)).to.equal(false);
    });
  }

  it('the device where it loses what it was given, although the kernel still remembers that', async () => {
    const device = await openDisk(
      '--blockdev',
      `driver=null-co,node-name=disk,size=${32 * MIB},read-zeroes=on`,
    );
    const error = await failure({ path: device, roots: ['/dev'] });
    expect(error.code, error.message).to.equal('target_unreliable');
    expect(error.message).to.contain('read once more, and is right');
    expect(await isAccused(4)).to.equal(false);
  });

  it('the directory where it takes no file, and not the repository, which a job would wait for', async () => {
    const point = join(bench.target, 'read-only');
    await mkdir(point);
    await runTool('mount', '-t', 'tmpfs', '-o', 'ro', 'none', point);
    cleanUp.push(() => runTool('umount', point));
    const error = await failure({ path: join(point, 'x.raw') });
    expect(error, error.message).to.include({ code: 'target_unreliable', outcome: 'give_up' });
    expect(error.message).to.contain(point).and.not.to.contain('/proc/');
  });
});
