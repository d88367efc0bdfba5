import { expect } from 'chai';
import { connectNbd, type NbdClient, type NbdConnectOptions } from '../../../../src/datapath/nbd/index.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { type FakeServer, type Peer, startFakeServer } from '../../../helpers/fakeNbdServer.js';
import {
  chunk,
  dataChunk,
  DONE,
  holeChunk,
  noneChunk,
  simpleReply,
  statusChunk,
} from '../../../helpers/nbdWire.js';

let server: FakeServer | undefined;

afterEach(async () => {
  await server?.stop();
  server = undefined;
});

async function against(
  script: (peer: Peer) => Promise<void>,
  options: NbdConnectOptions = {},
  facts: Parameters<Peer['enter']>[0] = {},
): Promise<NbdClient> {
  server = await startFakeServer(async (peer) => {
    await peer.enter(facts);
    await script(peer);
    await peer.gone();
  });
  return connectNbd(server.uri, options);
}

describe('A server that is hostile with requests outstanding', () => {
  it('and breaks the protocol in one reply fails all of them, and its socket is destroyed', async () => {
    const client = await against(async (peer) => {
      const first = await peer.request();
      await peer.request();
      await peer.request();
      peer.say(
        dataChunk(first.cookie, 0, Buffer.alloc(4096)),
        dataChunk(first.cookie, 0, Buffer.alloc(4096)),
      );
    });
    const codes = await Promise.all([
      codeOf(client.read(0, 8192)),
      codeOf(client.write(0, Buffer.alloc(512))),
      codeOf(client.flush()),
    ]);
    expect(codes).to.deep.equal(['nbd_protocol_error', 'nbd_protocol_error', 'nbd_protocol_error']);
    await server?.finished();
    expect(await codeOf(client.read(0, 1))).to.equal('nbd_protocol_error');
    await client.close();
  });

  it('and breaks the protocol within data that is read straight into the target is caught', async () => {
    const size = 1 << 20;
    const client = await against(async (peer) => {
      const { cookie } = await peer.request();
      peer.say(dataChunk(cookie, 0, Buffer.alloc(size - 1, 1)), noneChunk(cookie));
    });
    expect(await codeOf(client.read(0, size))).to.equal('nbd_protocol_error');
    await server?.finished();
  });

  const unasked: [string, Buffer][] = [
    ['a reply that nobody asked for', simpleReply(1)],
    ['rubbish', Buffer.from('rubbish')],
  ];
  for (const [what, bytes] of unasked) {
    it(`and sends ${what} while nothing is outstanding ends the connection`, async () => {
      const client = await against(async (peer) => peer.say(bytes));
      await server?.finished();
      expect(await codeOf(client.read(0, 1))).to.equal('nbd_protocol_error');
    });
  }

  it('and answers a second time after the last chunk ends the connection', async () => {
    const client = await against(async (peer) => {
      const { cookie } = await peer.request();
      peer.say(holeChunk(cookie, 0, 512, DONE), chunk(cookie, 0, DONE));
    });
    expect((await client.read(0, 512)).equals(Buffer.alloc(512))).to.equal(true);
    await server?.finished();
    expect(await codeOf(client.flush())).to.equal('nbd_protocol_error');
  });

  it('and answers block status with an empty extent gets nbd_protocol_error', async () => {
    const options = { metaContexts: ['base:allocation'] };
    const facts: Parameters<Peer['enter']>[0] = { contexts: [[9, 'base:allocation']] };
    const client = await against(
      async (peer) => {
        const { cookie } = await peer.request();
        peer.say(statusChunk(cookie, 9, [[0, 0]]));
      },
      options,
      facts,
    );
    expect(await codeOf(client.blockStatus(0, 4096, 'base:allocation'))).to.equal('nbd_protocol_error');
  });

  it('and falls silent gets nbd_connection_lost after requestTimeoutMs, and so do the queued requests', async () => {
    const client = await against(async (peer) => void (await peer.request()), {
      requestTimeoutMs: 200,
      maxInFlight: 1,
    });
    const begun = performance.now();
    const codes = await Promise.all([codeOf(client.read(0, 1)), codeOf(client.read(1, 1))]);
    expect(codes).to.deep.equal(['nbd_connection_lost', 'nbd_connection_lost']);
    expect(performance.now() - begun).to.be.within(150, 2000);
    await server?.finished();
  });

  it('and is merely idle with nothing outstanding is not given up', async () => {
    const client = await against(
      async (peer) => {
        for (let turn = 0; turn < 2; turn++) peer.say(simpleReply((await peer.request()).cookie));
      },
      { requestTimeoutMs: 50 },
    );
    await client.flush();
    await new Promise((resolve) => setTimeout(resolve, 300));
    await client.flush();
    client.destroy(new Error('the test is over'));
  });

  it('and never closes after NBD_CMD_DISC does not keep close() waiting for ever', async () => {
    server = await startFakeServer(async (peer) => {
      await peer.enter();
      await new Promise((resolve) => setTimeout(resolve, 8000));
    });
    const client = await connectNbd(server.uri);
    const begun = performance.now();
    await client.close();
    expect(performance.now() - begun).to.be.below(7000);
    await server.finished();
  });

  it('and answers out of order is understood, with no more than maxInFlight requests at a time', async () => {
    const batches: number[] = [];
    const client = await against(
      async (peer) => {
        for (let batch = 0; batch < 4; batch++) {
          const requests = [];
          for (let i = 0; i < 8; i++) requests.push(await peer.request());
          await new Promise((resolve) => setTimeout(resolve, 20));
          batches.push(requests.length + peer.socket.readableLength / 28);
          for (const { cookie, offset, length } of requests.toReversed())
            peer.say(dataChunk(cookie, offset, Buffer.alloc(length, offset / 512), DONE));
        }
      },
      { maxInFlight: 8 },
    );
    const reads = await Promise.all(Array.from({ length: 32 }, (_, i) => client.read(i * 512, 512)));
    for (const [i, data] of reads.entries()) expect(data.equals(Buffer.alloc(512, i))).to.equal(true);
    expect(batches).to.deep.equal([8, 8, 8, 8]);
    client.destroy(new Error('the test is over'));
  });

  it('an export of no bytes can be opened, and has nothing to read', async () => {
    const client = await against(async () => undefined, {}, { size: 0 });
    expect(client.sizeBytes).to.equal(0);
    expect((await client.read(0, 0)).length).to.equal(0);
    expect(await codeOf(client.read(0, 1))).to.equal('nbd_out_of_bounds');
    await client.close();
  });
});
