import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectNbd } from '../../../../src/datapath/nbd/index.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { type Peer, startFakeServer } from '../../../helpers/fakeNbdServer.js';
import { chunk, dataChunk, DONE, u64 } from '../../../helpers/nbdWire.js';

const MIB = 1024 * 1024;
const TIMEOUT_MS = 1000;

/** Connects to a server of this script, and reads a MiB. */
async function readFrom(script: (peer: Peer) => Promise<void>, timeoutMs = TIMEOUT_MS) {
  const server = await startFakeServer(async (peer) => {
    await peer.enter({ size: 4 * MIB });
    await script(peer);
  });
  try {
    const client = await connectNbd(server.uri, { requestTimeoutMs: timeoutMs });
    const begun = performance.now();
    const code = await codeOf(client.read(0, MIB));
    const ms = performance.now() - begun;
    await client.close();
    return { code, ms };
  } finally {
    await server.stop();
  }
}

describe('The client, while a server owes it an answer', () => {
  it('does not wait for one that never finishes: a byte now and then is no progress', async () => {
    const { code, ms } = await readFrom(async (peer) => {
      const { cookie } = await peer.request();
      peer.say(chunk(cookie, 1, DONE, u64(0), 8 + MIB));
      while (!peer.socket.destroyed) {
        peer.say(Buffer.from([1]));
        await sleep(20);
      }
    });
    expect(code).to.equal('nbd_connection_lost');
    expect(ms).to.be.within(TIMEOUT_MS * 0.9, 4 * TIMEOUT_MS);
  });

  it('waits for one that is slow and moves, far beyond the time', async () => {
    const { code, ms } = await readFrom(async (peer) => {
      const { cookie } = await peer.request();
      const part = MIB / 32;
      for (let at = 0; at < MIB; at += part) {
        await sleep(100);
        peer.say(dataChunk(cookie, at, Buffer.alloc(part, 1), at + part === MIB ? DONE : 0));
      }
      await peer.gone();
    });
    expect(code).to.equal('no error');
    expect(ms).to.be.above(2.5 * TIMEOUT_MS);
  });

  it('does not call one silent whose answer lies unread because this process was busy', async () => {
    const { code } = await readFrom(async (peer) => {
      const { cookie } = await peer.request();
      await sleep(50);
      peer.say(dataChunk(cookie, 0, Buffer.alloc(MIB, 1), DONE));
      // The answer is in the kernel; nothing in this process runs for twice the time.
      const until = performance.now() + 2 * TIMEOUT_MS;
      while (performance.now() < until);
      await peer.gone();
    });
    expect(code).to.equal('no error');
  });
});
