import { expect } from 'chai';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RestoreJob } from '../../../../src/entities/index.js';
import { imageInfo } from '../../../../src/qcow2/index.js';
import { PLAIN_CHAIN } from '../../../helpers/chainFixture.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { runTool } from '../../../helpers/runTool.js';
import { expectSame, names, openBench, type RestoreBench } from './support.js';

const MIB = 1024 ** 2;
const FORMATS = ['raw', 'qcow2', 'vmdk', 'vhdx', 'vdi'] as const;

describe('restore', function () {
  this.timeout(120_000);
  let bench: RestoreBench;

  before(async () => {
    bench = await openBench([
      ...PLAIN_CHAIN,
      { type: 'differential', writes: [{ offset: 4 * MIB, length: MIB, pattern: 0x51 }] },
      { type: 'full', writes: [{ offset: 0, length: MIB, pattern: 0x61 }] },
      {
        type: 'incremental',
        virtualSize: 20 * MIB,
        writes: [{ offset: 16 * MIB, length: MIB, pattern: 0x71 }],
      },
    ]);
  });

  after(() => bench.close());

  it('gives back every point of the chain as it was', async () => {
    for (let number = 1; number <= bench.chain.backups.length; number++) {
      const path = join(bench.target, `point-${number}.raw`);
      const result = await bench.restore({ number, path });
      expect(result).to.include({
        path,
        format: 'raw',
        verified: true,
        content_id: bench.at(number).contentId,
      });
      expect((await readFile(path)).equals(bench.at(number).content)).to.equal(true);
    }
    expect((await names(bench)).every((name) => name.startsWith('point-'))).to.equal(true);
  });

  for (const format of FORMATS) {
    it(`writes ${format} that qemu-img finds identical, and that describes itself by its final name`, async () => {
      const path = join(bench.target, `disk.${format}`);
      const result = await bench.restore({ number: 4, path, format });
      await expectSame(bench, bench.at(4), path, format);
      expect(result.bytes).to.equal((await stat(path)).blocks * 512);
      expect(result.virtual_size).to.equal(16 * MIB);
      const head = (await readFile(path)).subarray(0, MIB).toString('latin1');
      expect(head.includes('.partial')).to.equal(false);
    });
  }

  it('restores a disk whose size is no multiple of anything but 512, in every format', async () => {
    const odd = await openBench(
      [{ type: 'full', writes: [{ offset: 0, length: MIB, pattern: 0x11 }] }],
      2 * MIB + 512,
    );
    try {
      for (const format of FORMATS) {
        const path = join(odd.target, `disk.${format}`);
        expect(await odd.restore({ path, format })).to.include({
          verified: true,
          virtual_size: 2 * MIB + 512,
        });
        await expectSame(odd, odd.at(1), path, format);
      }
    } finally {
      await odd.close();
    }
  });

  it('leaves a raw file sparse, and the QCOW2 without a backing file', async () => {
    const { bytes } = await bench.restore({ number: 2, path: join(bench.target, 'sparse.raw') });
    expect(bytes).to.be.lessThan(4 * MIB);
    const path = join(bench.target, 'alone.qcow2');
    await bench.restore({ number: 2, path, format: 'qcow2' });
    expect((await imageInfo({ type: 'file', path, format: 'qcow2' })).backingName).to.equal(undefined);
  });

  it('says how far it is, restoring and then verifying, and ends the job with the result', async () => {
    const phases: string[] = [];
    const path = join(bench.target, 'progress.raw');
    const jobId = await bench.add({ path });
    const result = await bench.attempt(jobId, {
      report: ({ phase, bytes_done: done, bytes_total: total }) => {
        expect(total).to.equal(20 * MIB);
        expect(done).to.be.within(0, 20 * MIB);
        if (phases.at(-1) !== phase) phases.push(phase);
      },
    });
    expect(phases).to.deep.equal(['restoring', 'verifying']);
    const job = await bench.ds.getRepository(RestoreJob).findOneByOrFail({ id: jobId });
    expect(job.status).to.equal('completed');
    expect(job.result).to.deep.equal({ ...result });
  });

  it('refuses content that is not what was backed up, and removes it', async () => {
    const path = join(bench.target, 'wrong.raw');
    const wrong = 'f'.repeat(64);
    await bench.ds.query('UPDATE backup_jobs SET content_id = ? WHERE id = ?', [wrong, bench.at(2).id]);
    try {
      const before = await names(bench);
      expect(await codeOf(bench.restore({ number: 2, path }))).to.equal('content_mismatch');
      expect(await names(bench)).to.deep.equal(before);
      // What was once read wrong is not restored unproved.
      expect(await codeOf(bench.restore({ number: 2, path, verify: false }))).to.equal('backup_damaged');
    } finally {
      await bench.ds.query('UPDATE backup_jobs SET content_id = ? WHERE id = ?', [
        bench.at(2).contentId,
        bench.at(2).id,
      ]);
    }
  });

  it('writes raw to a block device, over whatever it held', async () => {
    const file = join(bench.suite.tempDir, 'device.img');
    await runTool('truncate', '-s', String(24 * MIB), file);
    await runTool('qemu-io', '-f', 'raw', '-c', `write -P 0xee 0 ${24 * MIB}`, file);
    const device = (await runTool('losetup', '--find', '--show', file)).trim();
    try {
      const roots = ['/dev'];
      expect(await codeOf(bench.restore({ path: device, format: 'qcow2', roots }))).to.equal(
        'invalid_request',
      );
      expect(await codeOf(bench.restore({ path: device }))).to.equal('path_not_allowed');
      const result = await bench.restore({ path: device, roots });
      expect(result).to.include({ path: device, verified: true, bytes: 20 * MIB });
    } finally {
      await runTool('losetup', '--detach', device);
    }
    const written = await readFile(file);
    expect(written.subarray(0, 20 * MIB).equals(bench.at(7).content)).to.equal(true);
    expect(written.subarray(20 * MIB).every((byte) => byte === 0xee)).to.equal(true);
  });

  it('refuses a block device that is smaller than the disk', async () => {
    const file = join(bench.suite.tempDir, 'small.img');
    await runTool('truncate', '-s', String(8 * MIB), file);
    const device = (await runTool('losetup', '--find', '--show', file)).trim();
    try {
      expect(await codeOf(bench.restore({ path: device, roots: ['/dev'] }))).to.equal('invalid_request');
    } finally {
      await runTool('losetup', '--detach', device);
    }
  });
});
