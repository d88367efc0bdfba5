import { expect } from 'chai';
import { copyFull } from '../../../../src/datapath/index.js';
import { connectNbd } from '../../../../src/datapath/nbd/index.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { startFakeServer } from '../../../helpers/fakeNbdServer.js';
import { startNbdkit } from '../../../helpers/nbdServers.js';
import { blockSizeInfo, exportInfo, greeting, optionReply } from '../../../helpers/nbdWire.js';
import { expectSameContent, inWorkshop, layerJob, withSource, writeRaw } from '../disks.js';

const MIB = 1024 * 1024;

/** Minimum, preferred and maximum, as nbdkit's blocksize-policy filter takes them. It refuses each request that breaks them. */
const CONSTRAINTS = [
  ['1', '512', '512'],
  ['512', '512', '1536'],
  ['512', '4K', '8K'],
  ['4K', '4K', '64K'],
  ['4K', '32M', '32M'],
  ['64K', '64K', '64K'],
  ['64K', '64K', '192K'],
  ['64K', '128K', '32M'],
] as const;

describe('An NBD server with block size constraints', () => {
  for (const [minimum, preferred, maximum] of CONSTRAINTS) {
    it(`of ${minimum} to ${maximum} is read by our own client, and never asked for what it forbids`, () =>
      inWorkshop(async (shop) => {
        const disk = { path: shop.path('disk.raw'), format: 'raw' as const, sizeBytes: 6 * MIB };
        // Extents of the file begin and end within the blocks of the server.
        await writeRaw(disk.path, disk.sizeBytes, [
          { offset: 20_480, length: 4096 },
          { offset: MIB + 12_288, length: 2 * MIB },
          { offset: disk.sizeBytes - 4096, length: 4096 },
        ]);
        const server = await startNbdkit(
          '--filter=blocksize-policy',
          'file',
          disk.path,
          `blocksize-minimum=${minimum}`,
          `blocksize-preferred=${preferred}`,
          `blocksize-maximum=${maximum}`,
          'blocksize-error-policy=error',
        );
        try {
          await withSource(shop, { type: 'nbd', uri: server.uri() }, (source) =>
            copyFull({ ...layerJob(shop, source, 'full'), target: shop.path('full.qcow2') }),
          );
        } finally {
          await server.stop();
        }
        await expectSameContent(shop, ['full'], disk);
      }));
  }

  it('that cannot be are refused while connecting as a breach of the protocol, and no block is read', async () => {
    const impossible = [
      [3, 4096, MIB],
      [131_072, 131_072, MIB],
      [4096, 512, MIB],
      [4096, 4096, 6144],
    ] as const;
    for (const [minimum, preferred, maximum] of impossible) {
      const server = await startFakeServer(async (peer) => {
        peer.say(greeting());
        await peer.read(4);
        for (;;) {
          const { option } = await peer.option();
          if (option === 7) {
            peer.say(
              optionReply(7, 3, exportInfo(MIB, 1)),
              optionReply(7, 3, blockSizeInfo(minimum, preferred, maximum)),
              optionReply(7, 1),
            );
          } else peer.say(optionReply(option, 0x80000001));
        }
      });
      const what = `${minimum} ${preferred} ${maximum}`;
      expect(await codeOf(connectNbd(server.uri)), what).to.equal('nbd_protocol_error');
      await server.stop();
    }
  });
});
