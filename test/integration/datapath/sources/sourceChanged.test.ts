import { utimes } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { attachLoop, MAY_ATTACH } from '../../../helpers/loopDevice.js';
import { holderOf } from '../../../helpers/machine.js';
import { addPartition } from '../../../helpers/partitions.js';
import { inWorkshop, tool } from '../disks.js';
import { disk, failureOf, held, writeAt } from './holding.js';

const MIB = 1024 ** 2;

describe('A file source that has changed while it was read', function () {
  this.timeout(60_000);

  const changes: [string, (path: string) => Promise<unknown>][] = [
    ['written to by a program that knows no locks', (path) => writeAt(path)],
    ['grown', (path) => tool('truncate', '-s', String(8 * MIB), path)],
    [
      'written to by a program that sets the time of change back',
      async (path) => {
        await writeAt(path);
        await utimes(path, 1_600_000_000, 1_600_000_000);
      },
    ],
    ['exchanged for another', (path) => tool('mv', `${path}.other`, path)],
  ];
  for (const [how, change] of changes) {
    it(`is source_changed when it was ${how}, and nothing that was read is believed`, async () => {
      await inWorkshop(async (shop) => {
        const path = await disk(shop);
        await disk(shop, 'raw', 'disk.raw.other');
        await utimes(path, 1_600_000_000, 1_600_000_000);
        await held(shop, path, async (source) => {
          await source.assertUnchanged();
          await change(path);
          const error = await failureOf(source.assertUnchanged());
          expect(error.code).to.equal('source_changed');
        });
      });
    });
  }

  it('is source_changed when a partition of the device was written to', async function () {
    if (!MAY_ATTACH) this.skip();
    await inWorkshop(async (shop) => {
      const device = await attachLoop(await disk(shop));
      try {
        await addPartition(device.path, 1, { startBytes: MIB, lengthBytes: MIB });
        await held(shop, device.path, async (source) => {
          await source.assertUnchanged();
          await tool(
            'dd',
            'if=/dev/urandom',
            `of=${device.partition(1)}`,
            'bs=4k',
            'count=1',
            'conv=fsync',
            'status=none',
          );
          const error = await failureOf(source.assertUnchanged());
          expect(error.code).to.equal('source_changed');
          expect(error.message).to.contain('bytes written');
        });
      } finally {
        await device.detach();
      }
    });
  });

  it('is source_changed when the lock was lost, by the death of its holder', async () => {
    await inWorkshop(async (shop) => {
      const path = await disk(shop);
      await held(shop, path, async (source) => {
        process.kill(holderOf(path), 'SIGKILL');
        for (let left = 200; left > 0; left--) {
          const outcome = await source.assertUnchanged().then(
            () => undefined,
            (error: unknown) => error,
          );
          if (outcome === undefined) {
            await sleep(20);
            continue;
          }
          expect(outcome).to.include({ code: 'source_changed' });
          return;
        }
        throw new Error('The loss went unnoticed.');
      });
    });
  });
});
