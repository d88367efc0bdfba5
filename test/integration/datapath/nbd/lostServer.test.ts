import { expect } from 'chai';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectNbd } from '../../../../src/datapath/nbd/index.js';
import { StrataError } from '../../../../src/shared/errors.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { useNbdServers } from '../../../helpers/nbdSuite.js';

const nbd = useNbdServers();

const slowServer = () => nbd.nbdkit('--filter=delay', 'memory', '64M', 'delay-read=30');

const manyReads = (client: { read(offset: number, length: number): Promise<Buffer> }) =>
  Array.from({ length: 40 }, (_, i) => codeOf(client.read(i * 4096, 4096)));

describe('A server that goes away', () => {
  it('killed with requests outstanding and queued rejects all of them with nbd_connection_lost', async () => {
    const server = await slowServer();
    const client = await connectNbd(server.uri());
    const codes = manyReads(client);
    server.child.kill('SIGKILL');
    expect(new Set(await Promise.all(codes))).to.deep.equal(new Set(['nbd_connection_lost']));
    expect(await codeOf(client.flush())).to.equal('nbd_connection_lost');
    await client.close();
  });

  it('stopped by SIGSTOP is given up after requestTimeoutMs', async () => {
    const server = await nbd.nbdkit('memory', '64M');
    const client = await connectNbd(server.uri(), { requestTimeoutMs: 300 });
    await client.read(0, 4096);
    server.child.kill('SIGSTOP');
    const begun = performance.now();
    const codes = await Promise.all([...manyReads(client), codeOf(client.write(0, Buffer.alloc(8 << 20)))]);
    expect(performance.now() - begun).to.be.within(250, 3000);
    expect(new Set(codes)).to.deep.equal(new Set(['nbd_connection_lost']));
    server.child.kill('SIGCONT');
  });

  it('stopped by SIGSTOP during close() does not keep it waiting for ever', async () => {
    const server = await slowServer();
    const client = await connectNbd(server.uri(), { requestTimeoutMs: 300 });
    const code = codeOf(client.read(0, 512));
    server.child.kill('SIGSTOP');
    await client.close();
    expect(await code).to.equal('nbd_connection_lost');
    server.child.kill('SIGCONT');
  });

  it('is left when it has answered what it was sent, and nothing more is sent', async () => {
    const server = await nbd.nbdkit('--filter=delay', 'memory', '64M', 'rdelay=100ms');
    const client = await connectNbd(server.uri());
    const reason = new StrataError('cancelled', 'not wanted any more');
    const codes = manyReads(client);
    await sleep(5);
    await client.leave(reason);
    const seen = await Promise.all(codes);
    expect(seen.filter((code) => code === 'no error')).to.have.lengthOf(16);
    expect(seen.slice(16)).to.deep.equal(Array(24).fill('cancelled'));
    expect(await codeOf(client.flush())).to.equal('cancelled');
    // nbdkit 1.32 has not died of it.
    await (await connectNbd(server.uri())).close();
    expect(server.output()).to.not.match(/assert/i);
  });

  it('is left after a second when it does not answer', async () => {
    const server = await slowServer();
    const client = await connectNbd(server.uri());
    const codes = manyReads(client);
    await sleep(5);
    server.child.kill('SIGSTOP');
    const begun = performance.now();
    await client.leave(new StrataError('cancelled', 'not wanted any more'));
    expect(performance.now() - begun).to.be.within(900, 2500);
    expect(new Set(await Promise.all(codes))).to.deep.equal(new Set(['cancelled']));
    server.child.kill('SIGCONT');
  });

  it('that is not there is nbd_connection_lost, by socket and by port', async () => {
    expect(await codeOf(connectNbd('nbd+unix:///?socket=/nonexistent/socket'))).to.equal(
      'nbd_connection_lost',
    );
    const listener = createServer();
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const address = listener.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    await new Promise((resolve) => listener.close(resolve));
    expect(await codeOf(connectNbd(`nbd://127.0.0.1:${port}/x`))).to.equal('nbd_connection_lost');
  });
});

describe('An abort', () => {
  it('with requests outstanding rejects all of them with the reason of the signal', async () => {
    const server = await slowServer();
    const controller = new AbortController();
    const client = await connectNbd(server.uri(), { signal: controller.signal });
    const codes = manyReads(client);
    controller.abort(new StrataError('lease_lost', 'The lease is gone.'));
    expect(new Set(await Promise.all(codes))).to.deep.equal(new Set(['lease_lost']));
    expect(await codeOf(client.read(0, 1))).to.equal('lease_lost');
    await client.close();
  });

  it('without a reason is cancelled', async () => {
    const server = await slowServer();
    const controller = new AbortController();
    const client = await connectNbd(server.uri(), { signal: controller.signal });
    const code = codeOf(client.read(0, 1));
    controller.abort();
    expect(await code).to.equal('cancelled');
  });

  it('during the handshake ends it at once', async () => {
    const listener = createServer((socket) => socket.on('error', () => socket.destroy()).resume());
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const address = listener.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const controller = new AbortController();
    const code = codeOf(connectNbd(`nbd://127.0.0.1:${port}/x`, { signal: controller.signal }));
    setTimeout(() => controller.abort(), 50);
    expect(await code).to.equal('cancelled');
    await new Promise((resolve) => listener.close(resolve));
  });

  it('before connecting connects nowhere', async () => {
    expect(
      await codeOf(connectNbd('nbd+unix:///?socket=/nonexistent', { signal: AbortSignal.abort() })),
    ).to.equal('cancelled');
  });

  it('of one request keeps what was not sent yet from being sent, and the connection alive', async () => {
    const server = await nbd.nbdkit('memory', '64M');
    const client = await connectNbd(server.uri());
    expect(await codeOf(client.read(0, 512, { signal: AbortSignal.abort() }))).to.equal('cancelled');
    expect((await client.read(0, 512)).length).to.equal(512);
    await client.close();
  });
});

describe('destroy and close', () => {
  it('destroy rejects every outstanding request with the given reason', async () => {
    const server = await slowServer();
    const client = await connectNbd(server.uri());
    const codes = manyReads(client);
    client.destroy(new StrataError('shutting_down', 'The test ends.'));
    expect(new Set(await Promise.all(codes))).to.deep.equal(new Set(['shutting_down']));
  });

  it('close waits for what is outstanding and queued, and refuses what comes after it', async () => {
    const server = await nbd.nbdkit('--filter=delay', 'memory', '1M', 'delay-write=50ms');
    const client = await connectNbd(server.uri(), { maxInFlight: 2 });
    const writes = Array.from({ length: 6 }, (_, i) => codeOf(client.write(i * 512, Buffer.alloc(512))));
    const closed = [client.close(), client.close()];
    expect(await codeOf(client.write(0, Buffer.alloc(512)))).to.equal('nbd_connection_lost');
    expect(new Set(await Promise.all(writes))).to.deep.equal(new Set(['no error']));
    await Promise.all(closed);
  });

  it('bad options are invalid_request', async () => {
    for (const options of [
      { maxInFlight: 0 },
      { maxInFlight: 1.5 },
      { requestTimeoutMs: -1 },
      { connectTimeoutMs: 2 ** 31 },
    ])
      expect(await codeOf(connectNbd('nbd://localhost/x', options))).to.equal('invalid_request');
  });
});
