import { expect } from 'chai';
import { connectNbd, listExports } from '../../../../src/datapath/nbd/index.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { ALL_FLAGS, type FakeServer, type Peer, startFakeServer } from '../../../helpers/fakeNbdServer.js';
import { blockSizeInfo, exportInfo, greeting, optionReply, u32, u64 } from '../../../helpers/nbdWire.js';

let server: FakeServer | undefined;

afterEach(async () => {
  await server?.stop();
  server = undefined;
});

const beginning = async (peer: Peer) => {
  peer.say(greeting());
  await peer.read(4);
  await peer.option();
  peer.say(optionReply(8, 1));
  await peer.option();
};
const inGo =
  (...parts: Buffer[]) =>
  async (peer: Peer) => {
    await beginning(peer);
    peer.say(...parts);
    await peer.gone();
  };
const atOnce =
  (...parts: Buffer[]) =>
  async (peer: Peer) => {
    peer.say(...parts);
    await peer.gone();
  };

describe('A server that is hostile in the handshake', () => {
  const DEADLINE = { connectTimeoutMs: 2000 };
  const info = exportInfo(1 << 20, ALL_FLAGS);
  const withLimits = (...limits: [number, number, number]) =>
    inGo(optionReply(7, 3, info), optionReply(7, 3, blockSizeInfo(...limits)), optionReply(7, 1));

  const cases: [string, (peer: Peer) => Promise<void>, string][] = [
    ['does not speak NBD', atOnce(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')), 'nbd_protocol_error'],
    [
      'speaks oldstyle',
      atOnce(Buffer.from('NBDMAGIC'), u64(0x00420281861253n), u64(1 << 20), Buffer.alloc(128)),
      'nbd_protocol_error',
    ],
    ['answers an option with a wrong magic number', inGo(Buffer.alloc(20, 1)), 'nbd_protocol_error'],
    ['answers another option', inGo(optionReply(3, 1)), 'nbd_protocol_error'],
    [
      'announces a reply of 4 GiB',
      inGo(optionReply(7, 3, Buffer.alloc(0), 0xffffffff)),
      'nbd_protocol_error',
    ],
    ['sends a reply of a wrong type', inGo(optionReply(7, 2, Buffer.alloc(8))), 'nbd_protocol_error'],
    [
      'acknowledges with content',
      inGo(optionReply(7, 3, info), optionReply(7, 1, Buffer.alloc(4))),
      'nbd_protocol_error',
    ],
    ['does not tell the size', inGo(optionReply(7, 1)), 'nbd_protocol_error'],
    [
      'tells the size twice',
      inGo(optionReply(7, 3, info), optionReply(7, 3, info), optionReply(7, 1)),
      'nbd_protocol_error',
    ],
    [
      'sends half of the export information',
      inGo(optionReply(7, 3, info.subarray(0, 8)), optionReply(7, 1)),
      'nbd_protocol_error',
    ],
    [
      'sends information without a type',
      inGo(optionReply(7, 3, Buffer.alloc(1)), optionReply(7, 1)),
      'nbd_protocol_error',
    ],
    [
      'has an export above 2^53 bytes',
      inGo(optionReply(7, 3, exportInfo(2n ** 53n, 1)), optionReply(7, 1)),
      'nbd_protocol_error',
    ],
    ['has a minimum block of 0', withLimits(0, 4096, 1 << 25), 'nbd_protocol_error'],
    ['has a minimum block of 3', withLimits(3, 4096, 1 << 25), 'nbd_protocol_error'],
    ['has a minimum block of 128 KiB', withLimits(1 << 17, 1 << 17, 1 << 25), 'nbd_protocol_error'],
    ['prefers less than its minimum', withLimits(4096, 512, 1 << 25), 'nbd_protocol_error'],
    [
      'has a maximum that is not a multiple of its minimum',
      withLimits(4096, 4096, 5000),
      'nbd_protocol_error',
    ],
    [
      'sends endless replies to an option',
      inGo(...Array.from({ length: 17000 }, () => optionReply(7, 3, Buffer.from([0, 1])))),
      'nbd_protocol_error',
    ],
    ['floods', inGo(Buffer.alloc(1 << 22, 0xff)), 'nbd_protocol_error'],
    [
      'does not know the export',
      inGo(optionReply(7, 0x80000006, Buffer.from('no such\u0007 export'))),
      'nbd_refused',
    ],
    ['wants TLS', inGo(optionReply(7, 0x80000005)), 'nbd_refused'],
    ['refuses by policy', inGo(optionReply(7, 0x80000002)), 'nbd_refused'],
    ['shuts down', inGo(optionReply(7, 0x80000007)), 'nbd_connection_lost'],
    ['closes at once', async (peer) => void peer.socket.end(), 'nbd_connection_lost'],
    [
      'resets in the middle of a reply',
      async (peer) => {
        await beginning(peer);
        peer.say(optionReply(7, 3, info).subarray(0, 25));
        peer.socket.destroy();
      },
      'nbd_connection_lost',
    ],
  ];
  for (const [what, script, code] of cases) {
    it(`and ${what} gets ${code}`, async () => {
      server = await startFakeServer(script);
      expect(await codeOf(connectNbd(server.uri, DEADLINE))).to.equal(code);
      await server.finished();
    });
  }

  it('and stays silent gets nbd_connection_lost after connectTimeoutMs', async () => {
    server = await startFakeServer((peer) => peer.gone());
    const begun = performance.now();
    expect(await codeOf(connectNbd(server.uri, { connectTimeoutMs: 200 }))).to.equal('nbd_connection_lost');
    expect(performance.now() - begun).to.be.within(150, 1500);
    await server.finished();
  });

  it('and grants a meta context that nobody asked for gets nbd_protocol_error', async () => {
    server = await startFakeServer((peer) => peer.enter({ contexts: [[1, 'base:other']] }));
    expect(await codeOf(connectNbd(server.uri, { metaContexts: ['base:allocation'] }))).to.equal(
      'nbd_protocol_error',
    );
  });

  it('and lists an export whose name is longer than its reply gets nbd_protocol_error', async () => {
    server = await startFakeServer(async (peer) => {
      peer.say(greeting());
      await peer.read(4);
      await peer.option();
      peer.say(optionReply(3, 2, u32(100)), optionReply(3, 1));
      await peer.gone();
    });
    expect(await codeOf(listExports(server.uri))).to.equal('nbd_protocol_error');
    await server.finished();
  });

  it('and says yes to TLS with plain text behind it gets nbd_protocol_error', async () => {
    server = await startFakeServer(async (peer) => {
      peer.say(greeting());
      await peer.read(4);
      await peer.option();
      peer.say(optionReply(5, 1), optionReply(8, 1));
      await peer.gone();
    });
    expect(await codeOf(connectNbd(server.uri.replace('nbd+', 'nbds+')))).to.equal('nbd_protocol_error');
    await server.finished();
  });

  it('and refuses TLS is not talked to in plain text', async () => {
    const options: number[] = [];
    server = await startFakeServer(async (peer) => {
      peer.say(greeting());
      await peer.read(4);
      while (true) {
        const { option } = await peer.option();
        options.push(option);
        peer.say(optionReply(option, 0x80000001));
      }
    });
    expect(await codeOf(connectNbd(server.uri.replace('nbd+', 'nbds+')))).to.equal('nbd_refused');
    await server.finished();
    expect(options).to.deep.equal([5]);
  });
});
