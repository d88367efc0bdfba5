import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { HeldLease } from '../../../../src/services/job/holdLease.js';
import { PLAIN_CHAIN } from '../../../helpers/chainFixture.js';
import { runTool } from '../../../helpers/runTool.js';
import { expectSame, names, openBench, type RestoreBench } from './support.js';

const MIB = 1024 ** 2;
const FORMATS = ['raw', 'qcow2', 'vmdk', 'vhdx', 'vdi'] as const;
/** High enough to wait for nothing: what is looked at here is what comes of the other way of copying. */
const limited = (held: HeldLease): HeldLease => ({ ...held, rate: () => 1024 * MIB });

describe('A restore under a bandwidth limit', function () {
  this.timeout(60_000);
  let bench: RestoreBench;
  before(async () => {
    bench = await openBench(PLAIN_CHAIN);
  });
  after(() => bench.close());

  for (const format of FORMATS) {
    it(`writes ${format} that qemu-img finds identical, and leaves nothing else`, async () => {
      const path = join(bench.target, `disk.${format}`);
      const before = await names(bench);
      const result = await bench.restore({ path, format, held: limited });
      expect(result).to.include({ verified: true });
      expect(result.bytes, 'it is sparse').to.be.lessThan(result.virtual_size);
      await expectSame(bench, bench.at(4), path, format);
      expect(await names(bench)).to.deep.equal([...before, `disk.${format}`].toSorted());
    });
  }

  it('restores a disk whose size is no multiple of anything but 512, in every format', async () => {
    const size = 2 * MIB + 512;
    const odd = await openBench(
      [{ type: 'full', writes: [{ offset: 0, length: MIB, pattern: 0x11 }] }],
      size,
    );
    try {
      for (const format of FORMATS) {
        const path = join(odd.target, `disk.${format}`);
        const result = await odd.restore({ path, format, held: limited });
        expect(result, format).to.include({ verified: true, virtual_size: size });
        await expectSame(odd, odd.at(1), path, format);
      }
    } finally {
      await odd.close();
    }
  });

  it('writes raw to a block device, over whatever it held, and not beyond the disk', async () => {
    const size = bench.at(4).virtualSize;
    const file = join(bench.suite.tempDir, 'device.img');
    await runTool('truncate', '-s', String(size + 4 * MIB), file);
    await runTool('qemu-io', '-f', 'raw', '-c', `write -P 0xee 0 ${size + 4 * MIB}`, file);
    const device = (await runTool('losetup', '--find', '--show', file)).trim();
    try {
      const result = await bench.restore({ path: device, roots: ['/dev'], held: limited });
      expect(result).to.include({ path: device, verified: true });
    } finally {
      await runTool('losetup', '--detach', device);
    }
    const written = await readFile(file);
    const { content } = bench.at(4);
    expect(written.subarray(0, size).equals(content)).to.equal(true);
    expect(written.subarray(size).every((byte) => byte === 0xee)).to.equal(true);
  });
});
