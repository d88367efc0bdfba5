import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { connectNbd } from '../../../../src/datapath/nbd/index.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { useNbdServers } from '../../../helpers/nbdSuite.js';

const MIB = 1024 * 1024;
const nbd = useNbdServers();

describe('An error that the server reports', () => {
  it('reports an error of the server with its number, and goes on with the connection', async () => {
    const server = await nbd.nbdkit(
      '--filter=error',
      'memory',
      '4M',
      'error-pread=EIO',
      'error-pread-rate=100%',
    );
    const client = await connectNbd(server.uri());
    let caught: unknown;
    await client.read(0, 4096).catch((error: unknown) => (caught = error));
    expect(caught).to.have.property('code', 'nbd_io_error');
    expect(caught).to.have.nested.property('details.errno', 'EIO');
    await client.write(0, randomBytes(4096));
    await client.close();
  });

  const errors: [string, 'pwrite' | 'zero' | 'trim', string][] = [
    ['EPERM', 'pwrite', 'nbd_refused'],
    ['ENOMEM', 'pwrite', 'nbd_io_error'],
    ['ENOSPC', 'pwrite', 'no_space'],
    ['EINVAL', 'zero', 'nbd_out_of_bounds'],
    ['ESHUTDOWN', 'trim', 'nbd_connection_lost'],
  ];
  for (const [errno, operation, code] of errors) {
    it(`maps ${errno} of ${operation} to ${code}`, async () => {
      const server = await nbd.nbdkit(
        '--filter=error',
        'memory',
        '4M',
        `error-${operation}=${errno}`,
        `error-${operation}-rate=100%`,
      );
      const client = await connectNbd(server.uri());
      const work = {
        pwrite: () => client.write(0, Buffer.alloc(512)),
        zero: () => client.writeZeroes(0, 512),
        trim: () => client.trim(0, 512),
      };
      expect(await codeOf(work[operation]())).to.equal(code);
      await client.close();
    });
  }

  it('a read of many pieces of which one fails rejects, and touches the target no more', async () => {
    const server = await nbd.nbdkit(
      '--filter=error',
      '--filter=blocksize-policy',
      '--filter=delay',
      'pattern',
      '32M',
      'delay-read=10ms',
      'blocksize-maximum=64k',
      'blocksize-preferred=64k',
      'error-pread=EIO',
      'error-pread-rate=5%',
    );
    const client = await connectNbd(server.uri());
    expect(client.block.maximum).to.equal(65536);
    const target = Buffer.alloc(32 * MIB);
    expect(await codeOf(client.readInto(0, target))).to.equal('nbd_io_error');
    target.fill(9);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(target.equals(Buffer.alloc(32 * MIB, 9))).to.equal(true);
    await client.close();
  });

  it('outlasts a source that fails for a while behind the retry filter', async () => {
    const once = nbd.file('failed-once');
    const server = await nbd.nbdkit(
      '--filter=retry',
      'eval',
      'retry-delay=1',
      'get_size=echo 1M',
      `pread=if [ -f ${once} ]; then head -c $3 /dev/zero | tr '\\0' x; else touch ${once}; echo 'EIO first time' >&2; exit 1; fi`,
    );
    const client = await connectNbd(server.uri());
    expect((await client.read(0, 4096)).equals(Buffer.alloc(4096, 'x'))).to.equal(true);
    await client.close();
  });
});
