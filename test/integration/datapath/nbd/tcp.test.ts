import { expect } from 'chai';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { connectNbd } from '../../../../src/datapath/nbd/index.js';
import { startNbdkit } from '../../../helpers/nbdServers.js';

const MIB = 1024 * 1024;

describe('NBD client over TCP', () => {
  it('moves data both ways, by address and by a name that has more than one address', async () => {
    const server = await startNbdkit('memory', '16M');
    const relay = createServer((socket) => {
      const behind = connect(server.socketPath);
      // Either side may reset when the other closes.
      for (const side of [socket, behind]) side.on('error', () => side.destroy());
      socket.pipe(behind).pipe(socket);
    });
    relay.listen(0, '127.0.0.1');
    await once(relay, 'listening');
    const address = relay.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    for (const host of ['127.0.0.1', 'localhost']) {
      const client = await connectNbd(`nbd://${host}:${port}`);
      await client.write(0, Buffer.alloc(8 * MIB, host));
      expect((await client.read(0, 8 * MIB)).equals(Buffer.alloc(8 * MIB, host))).to.equal(true);
      await client.close();
    }
    await new Promise((resolve) => relay.close(resolve));
    await server.stop();
  });
});
