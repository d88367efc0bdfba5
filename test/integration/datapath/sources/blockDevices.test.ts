import { mkdir } from 'node:fs/promises';
import { expect } from 'chai';
import {
  contentId,
  contentIdOfImage,
  copyChanges,
  copyDifferences,
  copyFull,
  openSource,
  type OpenSource,
} from '../../../../src/datapath/index.js';
import type { ImageFormat } from '../../../../src/qcow2/index.js';
import {
  attachLoop,
  holdOpen,
  type LoopDevice,
  MAY_ATTACH,
  onDevice,
  partitionOnce,
  readThroughCache,
} from '../../../helpers/loopDevice.js';
import { createOverlay, inWorkshop, layerJob, tool, type Workshop } from '../disks.js';

const MIB = 1024 ** 2;
/** Its end is no whole block, and, in sectors of 512 bytes, no whole page. */
const sizeIn = (sector: number, mib = 24) => mib * MIB + 3 * 4096 + (sector === 512 ? 3 * 512 : 0);
/** More than what is digested without threads. */
const LARGE_MIB = 72;

async function onLoop(
  sizeBytes: number,
  sector: number,
  work: (shop: Workshop, device: LoopDevice) => Promise<void>,
): Promise<void> {
  await inWorkshop(async (shop) => {
    await tool('truncate', '-s', String(sizeBytes), shop.path('device.img'));
    const device = await attachLoop(shop.path('device.img'), { sector });
    try {
      await partitionOnce(device);
      await work(shop, device);
    } finally {
      await device.detach();
    }
  });
}

async function withDevice<T>(
  shop: Workshop,
  path: string,
  work: (source: OpenSource) => Promise<T>,
  format: ImageFormat = 'raw',
): Promise<T> {
  const policy = { roots: ['/dev'], nbdAllow: [], scratchDir: shop.scratchDir };
  const source = await openSource({ type: 'file', path, format }, policy);
  try {
    const result = await work(source);
    await source.assertUnchanged();
    return result;
  } finally {
    await source.close();
  }
}

const full = (shop: Workshop, path: string, name: string, limited = false, format: ImageFormat = 'raw') =>
  withDevice(
    shop,
    path,
    (source) =>
      copyFull({
        ...layerJob(shop, source, name),
        target: shop.path(`${name}.qcow2`),
        ...(limited ? { rate: () => 10 ** 12 } : {}),
      }),
    format,
  );

/** By comparison, or by a change list that names all of the disk. */
async function increment(
  shop: Workshop,
  path: string,
  name: string,
  parents: string[],
  by: 'compare' | 'list',
) {
  const [parent = ''] = parents;
  await withDevice(shop, path, async (source) => {
    const overlay = await createOverlay(shop, name, parent, source.sizeBytes);
    const parentLayers = parents.map((each) => shop.path(`${each}.digests`));
    const job = { ...layerJob(shop, source, name), overlay, parentLayers };
    if (by === 'compare') return copyDifferences(job);
    const extents = [{ offset: 0, length: source.sizeBytes }];
    return copyChanges({ ...job, extents, audit: { blocks: 0, seed: 'x' } });
  });
}

/** That a chain holds what is on the device, in its bytes and in its digests. */
async function expectHeld(shop: Workshop, path: string, layers: string[]): Promise<void> {
  const [top = ''] = layers;
  await onDevice(path, shop.path('truth.raw'));
  const image = shop.path(`${top}.qcow2`);
  await tool('qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', shop.path('truth.raw'), image);
  const virtualSizeBytes = Number(await tool('blockdev', '--getsize64', path));
  const signal = new AbortController().signal;
  const digests = await contentId({
    layers: layers.map((each) => shop.path(`${each}.digests`)),
    virtualSizeBytes,
    signal,
  });
  const truth = { type: 'file', path: shop.path('truth.raw'), format: 'raw' } as const;
  const readBack = { signal, scratchDir: shop.scratchDir };
  expect(digests).to.equal(await contentIdOfImage(truth, virtualSizeBytes, readBack));
}

/** A frozen ext4 on the first partition, into which each call of `write` writes 2 MiB. */
async function withFrozen(
  shop: Workshop,
  device: LoopDevice,
  work: (write: (name: string) => Promise<void>) => Promise<void>,
): Promise<void> {
  const mounted = shop.path('mounted');
  await mkdir(mounted);
  await tool('mkfs.ext4', '-q', '-F', device.partition(1));
  await tool('mount', device.partition(1), mounted);
  try {
    await tool('fsfreeze', '--freeze', mounted);
    await work(async (name) => {
      // What a reader through the cache has seen before must not be what it sees after.
      for (const each of [device.path, device.partition(1)]) await readThroughCache(each);
      await tool('fsfreeze', '--unfreeze', mounted);
      await tool('dd', 'if=/dev/urandom', `of=${mounted}/${name}`, 'bs=1M', 'count=2', 'status=none');
      await tool('fsfreeze', '--freeze', mounted);
    });
  } finally {
    await tool('fsfreeze', '--unfreeze', mounted);
    await tool('umount', mounted);
  }
}

describe('A backup of a block device', function () {
  this.timeout(120_000);
  before(function () {
    if (!MAY_ATTACH) this.skip();
  });

  for (const sector of [512, 4096]) {
    it(`never lacks what was written through a mounted partition, in sectors of ${sector} bytes`, async () => {
      await onLoop(sizeIn(sector, sector === 512 ? LARGE_MIB : 24), sector, async (shop, device) => {
        await withFrozen(shop, device, async (write) => {
          await write('first');
          await full(shop, device.path, 'full');
          await expectHeld(shop, device.path, ['full']);
          await write('second');
          await increment(shop, device.path, 'compared', ['full'], 'compare');
          await expectHeld(shop, device.path, ['compared', 'full']);
          await write('third');
          await increment(shop, device.path, 'listed', ['compared', 'full'], 'list');
          await expectHeld(shop, device.path, ['listed', 'compared', 'full']);
          await write('fourth');
          await full(shop, device.path, 'again');
          await expectHeld(shop, device.path, ['again']);
          await write('fifth');
          await full(shop, device.path, 'limited', true);
          await expectHeld(shop, device.path, ['limited']);
        });
      });
    });

    it(`never lacks what was written to a partition through the whole device, in sectors of ${sector} bytes`, async () => {
      await onLoop(sizeIn(sector), sector, async (shop, device) => {
        const part = device.partition(1);
        const holder = await holdOpen(part);
        const write = async (sync: string) => {
          await readThroughCache(part);
          const place = ['bs=1M', 'seek=10', 'count=2', 'status=none'];
          await tool(
            'dd',
            'if=/dev/urandom',
            `of=${device.path}`,
            ...place,
            'conv=notrunc',
            ...[sync].filter(Boolean),
          );
        };
        try {
          await write('oflag=direct');
          await full(shop, part, 'full');
          await expectHeld(shop, part, ['full']);
          // Left in the cache of the whole device, which its partition keeps open.
          await write('');
          await increment(shop, part, 'compared', ['full'], 'compare');
          await expectHeld(shop, part, ['compared', 'full']);
          await write('oflag=direct');
          await full(shop, part, 'again');
          await expectHeld(shop, part, ['again']);
        } finally {
          await holder.close();
        }
      });
    });
  }

  it('that holds a QCOW2 image reads its tables past the cache, too', async () => {
    await onLoop(sizeIn(512), 512, async (shop, device) => {
      const part = device.partition(1);
      const holder = await holdOpen(part);
      const image = shop.path('inner.qcow2');
      await tool('qemu-img', 'create', '-q', '-f', 'qcow2', image, String(16 * MIB));
      const write = async () => {
        await readThroughCache(part);
        await tool('qemu-io', '-f', 'qcow2', '-c', `write -P ${(written += 1)} ${written}M 3M`, image);
        await tool(
          'dd',
          `if=${image}`,
          `of=${device.path}`,
          'bs=1M',
          'seek=1',
          'conv=notrunc',
          'oflag=direct',
          'status=none',
        );
      };
      let written = 0;
      const same = (name: string) =>
        tool('qemu-img', 'compare', '-f', 'qcow2', '-F', 'qcow2', image, shop.path(`${name}.qcow2`));
      try {
        await write();
        await full(shop, part, 'full', false, 'qcow2');
        await same('full');
        await write();
        await withDevice(
          shop,
          part,
          async (source) => {
            const overlay = await createOverlay(shop, 'compared', 'full', source.sizeBytes);
            const parentLayers = [shop.path('full.digests')];
            await copyDifferences({ ...layerJob(shop, source, 'compared'), overlay, parentLayers });
          },
          'qcow2',
        );
        await same('compared');
        await write();
        await full(shop, part, 'limited', true, 'qcow2');
        await same('limited');
      } finally {
        await holder.close();
      }
    });
  });
});
