import { writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import { codeOf } from '../../../helpers/codeOf.js';
import { startNbdkit } from '../../../helpers/nbdServers.js';
import { inWorkshop, withSource } from '../disks.js';

const MIB = 1024 * 1024;

describe('An NBD source', () => {
  it('is never read on over a new connection that shows a disk of another size', () =>
    inWorkshop(async (shop) => {
      const size = shop.path('size');
      await writeFile(size, String(4 * MIB));
      const server = await startNbdkit('eval', `get_size=cat ${size}`, 'pread=head -c $3 /dev/zero');
      try {
        await withSource(shop, { type: 'nbd', uri: server.uri() }, async (source) => {
          const read = async () => {
            const [reader] = await source.connect();
            await reader?.read(0, Buffer.alloc(65_536));
          };
          await read();
          await source.release();
          expect(await codeOf(read()), 'the same size').to.equal('no error');
          await source.release();
          await writeFile(size, String(5 * MIB));
          expect(await codeOf(read()), 'another size').to.equal('source_changed');
        });
      } finally {
        await server.stop();
      }
    }));
});
