import { randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { expect } from 'chai';
import { openGate } from '../../../../src/datapath/index.js';
import { connectNbd, listExports, listMetaContexts } from '../../../../src/datapath/nbd/index.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { runTool } from '../../../helpers/runTool.js';
import { MIB, NAME, openPushing, type Pushing } from './pushing.js';

describe('The gate of a push export', () => {
  let pushing: Pushing;
  before(async () => {
    pushing = await openPushing();
  });
  afterEach(() => pushing.reset());
  after(() => pushing.close());

  it('lets nbdcopy, qemu-img and our own client write, by the name', async () => {
    for (const write of [
      () => runTool('nbdcopy', pushing.file('disk.raw'), pushing.uri()),
      () =>
        runTool(
          'qemu-img',
          'convert',
          '-n',
          '-f',
          'raw',
          '-O',
          'raw',
          pushing.file('disk.raw'),
          pushing.uri(),
        ),
      async () => {
        const client = await connectNbd(pushing.uri(), { metaContexts: ['base:allocation'] });
        expect(client.metaContexts).to.deep.equal(['base:allocation']);
        await client.write(0, await readFile(pushing.file('disk.raw')));
        await client.close();
      },
    ]) {
      const image = await pushing.open();
      await write();
      expect(pushing.exported()?.traffic().entered).to.equal(true);
      expect(pushing.exported()?.traffic().bytes).to.be.greaterThan(2 * MIB);
      await pushing.finished();
      expect(await pushing.rawOf(image)).to.equal(await pushing.diskHash());
    }
  });

  it('offers several connections, which nbdcopy uses', async () => {
    await pushing.open();
    const clients = await Promise.all(Array.from({ length: 4 }, () => connectNbd(pushing.uri())));
    expect(clients.every(({ flags }) => flags.canMultiConn)).to.equal(true);
    expect(pushing.exported()?.traffic().inside).to.equal(4);
    await Promise.all(
      clients.map((client, index) => client.write(index * 65536, Buffer.alloc(65536, index + 1))),
    );
    for (const client of clients) await client.close();
    await pushing.finished();
  });

  it('lesson 30: refuses one connection too many at once, instead of letting it hang', async () => {
    await pushing.open({ connections: 1 });
    const first = await connectNbd(pushing.uri());
    const started = performance.now();
    expect(await codeOf(connectNbd(pushing.uri()))).to.equal('nbd_refused');
    expect(performance.now() - started).to.be.lessThan(2000);
    await first.write(0, Buffer.alloc(512, 1));
    await first.close();
    await pushing.finished();
  });

  it('tells nobody its name, and knows no other', async () => {
    await pushing.open();
    expect(await codeOf(listExports(pushing.uri()))).to.equal('nbd_refused');
    for (const name of ['', 'secret', `${NAME}x`]) {
      expect(await codeOf(connectNbd(pushing.uri(name)))).to.equal('nbd_refused');
      expect(await codeOf(listMetaContexts(pushing.uri(name)))).to.equal('nbd_refused');
    }
    expect(await listMetaContexts(pushing.uri())).to.deep.equal(['base:allocation']);
    expect(pushing.exported()?.traffic().entered).to.equal(false);
    const commands = await runTool('ps', '-eo', 'args');
    expect(commands).not.to.contain(NAME);
  });

  it('stands firm against clients that break the protocol', async () => {
    await pushing.open();
    const option = (number: number, length: number, ...data: Buffer[]) => {
      const header = Buffer.alloc(16);
      header.write('IHAVEOPT', 'latin1');
      header.writeUInt32BE(number, 8);
      header.writeUInt32BE(length, 12);
      return Buffer.concat([header, ...data]);
    };
    const flags = Buffer.from([0, 0, 0, 3]);
    const hostile: Buffer[] = [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.concat([Buffer.from([0, 0, 0, 0]), option(7, 0)]),
      Buffer.concat([flags, option(7, 0xffffffff)]),
      Buffer.concat([flags, option(7, 8, Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]))]),
      Buffer.concat([flags, option(1, 3, Buffer.from('abc'))]),
      Buffer.concat([flags, Buffer.from([0x25, 0x60, 0x95, 0x13]), Buffer.alloc(24)]),
      Buffer.concat([flags, randomBytes(64)]),
      Buffer.alloc(2 * MIB, 0x49),
    ];
    for (const [index, bytes] of hostile.entries()) {
      const closed = await new Promise<string>((resolve) => {
        const socket = connect(pushing.port, '127.0.0.1', () => socket.write(bytes));
        socket.setTimeout(3000, () => resolve('still open'));
        socket.on('error', () => undefined);
        socket.on('close', () => resolve('closed'));
        socket.resume();
        // One that only stops sending is let go as well.
        setTimeout(() => socket.end(), 200);
      });
      expect(closed, String(index)).to.equal('closed');
    }
    expect(pushing.exported()?.traffic()).to.deep.equal({ inside: 0, entered: false, bytes: 0 });
    await runTool('nbdcopy', pushing.file('disk.raw'), pushing.uri());
    await pushing.finished();
  });

  it('is not shut while somebody is inside, and lets nobody in afterwards', async () => {
    const image = await pushing.open();
    const client = await connectNbd(pushing.uri());
    expect(await pushing.exported()?.finish()).to.equal(false);
    await client.write(0, await readFile(pushing.file('disk.raw')));
    expect(await pushing.exported()?.finish()).to.equal(false);
    await client.close();
    await pushing.finished();
    expect(await codeOf(connectNbd(pushing.uri()))).to.equal('nbd_connection_lost');
    expect(await pushing.rawOf(image)).to.equal(await pushing.diskHash());
  });

  it('gives its address back, and says when another has it', async () => {
    await pushing.open();
    const again = await openGate({
      address: { host: '127.0.0.1', port: pushing.port },
      connections: 1,
      credentials: undefined,
      exportName: 'x',
      serverSocket: pushing.file('none.sock'),
      signal: new AbortController().signal,
    });
    expect(again).to.equal(undefined);
    await pushing.exported()?.abandon();
    await pushing.exported()?.abandon();
    await pushing.open();
  });

  it('holds agents to the limit of the job', async () => {
    const image = await pushing.open({ rate: 2 * MIB });
    const started = performance.now();
    await runTool('nbdcopy', pushing.file('disk.raw'), pushing.uri());
    // A quarter of a second may be caught up.
    expect(performance.now() - started).to.be.within(650, 5000);
    await pushing.finished();
    expect(await pushing.rawOf(image)).to.equal(await pushing.diskHash());
  });

  it('ends with its server, and the agent sees it', async () => {
    await pushing.open();
    const client = await connectNbd(pushing.uri());
    const serverPids = (await runTool('pgrep', '-f', pushing.file(`${pushing.count()}.sock`)))
      .trim()
      .split('\n');
    for (const pid of serverPids) process.kill(Number(pid), 'SIGKILL');
    expect(await codeOf(pushing.exported()?.died ?? Promise.resolve())).to.equal('tool_failed');
    expect(await codeOf(client.write(0, Buffer.alloc(512)))).to.equal('nbd_connection_lost');
    expect(await codeOf(pushing.exported()?.finish() ?? Promise.resolve())).to.be.oneOf([
      'nbd_connection_lost',
      'tool_failed',
    ]);
  });

  it('listens on a unix socket where it is told to', async () => {
    const socketPath = pushing.file('agents.sock');
    const image = await pushing.open({ address: { socketPath } });
    expect((await stat(socketPath)).mode & 0o777).to.equal(0o660);
    await runTool('nbdcopy', pushing.file('disk.raw'), `nbd+unix:///${NAME}?socket=${socketPath}`);
    await pushing.finished();
    expect(await pushing.rawOf(image)).to.equal(await pushing.diskHash());
    expect(await codeOf(stat(socketPath))).to.contain('ENOENT');
  });
});
