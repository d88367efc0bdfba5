import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { formatOf, parseSource } from '../../../src/cli/diskSpec.js';
import { attachLoop, MAY_ATTACH } from '../../helpers/loopDevice.js';
import { inWorkshop, tool } from '../datapath/disks.js';

describe('The format of a path on the command line', () => {
  it('is not raw because the path is under /dev: a file in /dev/shm has the format of its name', () => {
    expect(formatOf('/dev/shm/disk.qcow2')).to.equal('qcow2');
    expect(parseSource('/dev/shm/disk.vmdk')).to.include({ format: 'vmdk' });
  });

  it('is not guessed for a device that only another host has', () => {
    expect(() => formatOf('/dev/no-such-disk')).to.throw('--format raw');
  });

  it('is raw for a block device, wherever its name lies, and must be stated where the name says something else', async function () {
    if (!MAY_ATTACH) this.skip();
    await inWorkshop(async (shop) => {
      await tool('truncate', '-s', '1M', shop.path('disk.img'));
      const device = await attachLoop(shop.path('disk.img'));
      try {
        for (const name of ['disk', 'disk.raw', 'disk.qcow2'])
          await symlink(device.path, join(shop.dir, name));
        expect(formatOf(device.path)).to.equal('raw');
        expect(formatOf(shop.path('disk'))).to.equal('raw');
        expect(formatOf(shop.path('disk.raw'))).to.equal('raw');
        expect(() => formatOf(shop.path('disk.qcow2'))).to.throw('--format raw|qcow2');
        expect(parseSource(shop.path('disk.qcow2'), { format: 'qcow2' })).to.include({ format: 'qcow2' });
      } finally {
        await device.detach();
      }
    });
  });

  it('goes with force_share for files alone, and is refused with what has no lock', () => {
    expect(parseSource('/x.raw', { forceShare: true })).to.include({ force_share: true });
    expect(() => parseSource('nbd://h/e', { forceShare: true })).to.throw('force-share');
  });
});
