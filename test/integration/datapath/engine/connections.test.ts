import { createConnection, createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { expect } from 'chai';
import { copyChanges, copyFull } from '../../../../src/datapath/index.js';
import { startQemuNbd } from '../../../helpers/nbdServers.js';
import { createOverlay, expectSameContent, inWorkshop, layerJob, withSource, writeRaw } from '../disks.js';

const MIB = 1024 * 1024;

/** Forwards a TCP port of this host to a unix socket, and counts the connections. */
async function forward(
  socketPath: string,
): Promise<{ port: number; accepted: () => number; server: Server }> {
  let accepted = 0;
  const server = createServer((client) => {
    accepted++;
    const upstream = createConnection(socketPath);
    client.pipe(upstream).pipe(client);
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    client.on('error', end);
    upstream.on('error', end);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('It does not listen on a port.');
  return { port: address.port, accepted: () => accepted, server };
}

describe('A remote export that allows several connections', () => {
  it('is read over four of them, to the same content', () =>
    inWorkshop(async (shop) => {
      const disk = { path: shop.path('disk.raw'), format: 'raw' as const, sizeBytes: 12 * MIB + 512 };
      await writeRaw(disk.path, disk.sizeBytes, [{ offset: MIB, length: 9 * MIB }]);
      const nbd = await startQemuNbd(disk.path, '-f', 'raw', '-r');
      const proxy = await forward(nbd.socketPath);
      try {
        const spec = { type: 'nbd' as const, uri: `nbd://127.0.0.1:${proxy.port}/` };
        await withSource(shop, spec, async (source) => {
          await copyFull({ ...layerJob(shop, source, 'full'), target: shop.path('full.qcow2') });
          expect(proxy.accepted(), 'for the full').to.equal(4);
          const overlay = await createOverlay(shop, 'inc', 'full', disk.sizeBytes);
          const extents = [{ offset: 0, length: disk.sizeBytes }];
          const parentLayers = [shop.path('full.digests')];
          await copyChanges({
            ...layerJob(shop, source, 'inc'),
            overlay,
            extents,
            parentLayers,
            audit: { blocks: 0, seed: '' },
          });
          expect(proxy.accepted(), 'and no more for the increment').to.equal(4);
        });
      } finally {
        proxy.server.close();
        await nbd.stop();
      }
      await expectSameContent(shop, ['inc', 'full'], disk);
    }));
});

describe('A full of a source that the QEMU tools cannot read', () => {
  it('is copied by the NBD client, and zeros take no room', () =>
    inWorkshop(async (shop) => {
      const disk = { path: shop.path('disk.raw'), format: 'raw' as const, sizeBytes: 64 * MIB + 512 };
      await writeRaw(disk.path, disk.sizeBytes, [
        { offset: 100, length: MIB },
        { offset: 20 * MIB, length: 5000, zero: true },
      ]);
      const result = await withSource(shop, { type: 'file', path: disk.path, format: 'raw' }, (source) => {
        const native = { ...source, nativeOnly: true };
        return copyFull({ ...layerJob(shop, native, 'full'), target: shop.path('full.qcow2') });
      });
      expect(result).to.deep.include({ dataBlocks: 17, zeroBlocks: 1025 - 17, bytesWritten: 17 * 65536 });
      await expectSameContent(shop, ['full'], disk);
    }));
});
