import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { ERRORS } from '../../../../src/shared/errorCodes.js';
import { attachLoop, MAY_ATTACH } from '../../../helpers/loopDevice.js';
import { asMachine, machineIsRefused } from '../../../helpers/machine.js';
import { inWorkshop, tool } from '../disks.js';
import { disk, failureOf, held, openFile, writeAt } from './holding.js';

const MIB = 1024 ** 2;

describe('A file source that a machine has open for writing', function () {
  this.timeout(60_000);

  for (const format of ['raw', 'qcow2'] as const) {
    it(`is never read: ${format} is source_in_use at once, and the remedy is said`, async () => {
      await inWorkshop(async (shop) => {
        const path = await disk(shop, format);
        await asMachine(shop.dir, path, format, async () => {
          const error = await failureOf(openFile(shop, path, { format }));
          expect(error.code).to.equal('source_in_use');
          expect(error.message).to.match(/over NBD.*force_share/);
        });
      });
    });
  }

  it('is not tried again: no attempt later finds the machine stopped', () => {
    expect(ERRORS.source_in_use.outcome).to.equal('give_up');
  });

  it('is never read where it is a block device', async function () {
    if (!MAY_ATTACH) this.skip();
    await inWorkshop(async (shop) => {
      const device = await attachLoop(await disk(shop));
      try {
        await asMachine(shop.dir, device.path, 'raw', async () => {
          expect((await failureOf(openFile(shop, device.path))).code).to.equal('source_in_use');
        });
        await held(shop, device.path, async () => {
          expect(await machineIsRefused(device.path, 'raw')).to.equal(true);
        });
      } finally {
        await device.detach();
      }
    });
  });

  it('is never read where the machine has one extent of a VMDK', async () => {
    await inWorkshop(async (shop) => {
      const path = shop.path('split.vmdk');
      await tool('qemu-img', 'create', '-q', '-f', 'vmdk', '-o', 'subformat=twoGbMaxExtentFlat', path, '3G');
      const extent = shop.path('split-f002.vmdk');
      await asMachine(shop.dir, extent, 'raw', async () => {
        expect((await failureOf(openFile(shop, path, { format: 'vmdk' }))).code).to.equal('source_in_use');
      });
      await held(
        shop,
        path,
        async (source) => {
          expect(await machineIsRefused(extent, 'raw')).to.equal(true);
          await writeAt(extent);
          expect((await failureOf(source.assertUnchanged())).code).to.equal('source_changed');
        },
        { format: 'vmdk' },
      );
    });
  });

  it('is read all the same with force_share, by every reader', async () => {
    await inWorkshop(async (shop) => {
      for (const format of ['raw', 'qcow2'] as const) {
        const path = await disk(shop, format);
        await asMachine(shop.dir, path, format, async () => {
          await held(
            shop,
            path,
            async (source) => {
              const [reader] = await source.connect();
              await reader?.read(0, Buffer.alloc(65536));
              for await (const _ of source.allocated()) continue;
              for await (const _ of source.status({ offset: 0, length: MIB })) continue;
              await source.assertUnchanged();
            },
            { format, force_share: true },
          );
        });
      }
    });
  });
});

describe('A file source that is being read', function () {
  this.timeout(60_000);

  for (const format of ['raw', 'qcow2', 'vmdk'] as const) {
    it(`cannot be opened by a machine, until the source is closed: ${format}`, async () => {
      await inWorkshop(async (shop) => {
        const path = await disk(shop, format);
        await held(
          shop,
          path,
          async (source) => {
            expect(await machineIsRefused(path, format)).to.equal(true);
            await source.release();
            expect(await machineIsRefused(path, format)).to.equal(true);
            await source.assertUnchanged();
          },
          { format },
        );
        expect(await machineIsRefused(path, format)).to.equal(false);
      });
    });
  }

  it('is shared with other readers, another backup and the QEMU tools among them', async () => {
    await inWorkshop(async (shop) => {
      const path = await disk(shop);
      await held(shop, path, async () => {
        await held(shop, path, async (second) => {
          await tool('qemu-img', 'convert', '-f', 'raw', '-O', 'raw', path, shop.path('copy.raw'));
          await second.assertUnchanged();
        });
      });
    });
  });

  it('is let go by a process that is killed', async () => {
    await inWorkshop(async (shop) => {
      const path = await disk(shop);
      const script = `
        import { open } from 'node:fs/promises';
        import { lockFiles } from ${JSON.stringify(new URL('../../../../src/qcow2/index.js', import.meta.url).href)};
        const path = ${JSON.stringify(path)};
        const { fd } = await open(path);
        await lockFiles([{ name: 'disk', path, fd, readableBy: 'anybody' }]);
        console.log('held');
        setInterval(() => undefined, 1000);`;
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      expect(await machineIsRefused(path, 'raw')).to.equal(true);
      child.kill('SIGKILL');
      await once(child, 'exit');
      for (let left = 200; await machineIsRefused(path, 'raw'); left--) {
        expect(left).to.be.greaterThan(0);
        await sleep(20);
      }
    });
  });
});
