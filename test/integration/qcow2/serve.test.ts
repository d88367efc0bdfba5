import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { expect } from 'chai';
import { createImage, type ServeImage, serveImage } from '../../../src/qcow2/index.js';
import { StrataError } from '../../../src/shared/errors.js';
import { failureOf, guestRead, isAlive, MiB, rejection, run, tempDir } from './images.js';

describe('serveImage', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  let serve: ServeImage & { socketPath: string };
  beforeEach(async () => {
    temp = await tempDir();
    await createImage(temp.at('disk.qcow2'), { virtualSizeBytes: 4 * MiB });
    serve = {
      path: temp.at('disk.qcow2'),
      format: 'qcow2',
      readOnly: false,
      socketPath: temp.at('nbd.sock'),
    };
  });
  afterEach(() => temp.remove());

  it('accepts connections when it returns, a second one beside the first too, and ends cleanly', async () => {
    const server = await serveImage({
      ...serve,
      exportName: 'disk',
      cache: 'none',
      discard: true,
      detectZeroes: 'unmap',
    });
    const first = connect({ path: server.socketPath });
    await once(first, 'data');
    const { stdout } = await run('qemu-io', [
      '-f',
      'raw',
      '-c',
      'write -P 7 0 64k',
      '-c',
      'flush',
      server.uri,
    ]);
    expect(stdout).to.contain('wrote 65536/65536');
    first.destroy();
    await server.close();
    await server.exited;
    expect(await isAlive(server.pid)).to.equal(false);
    expect(existsSync(server.socketPath)).to.equal(false);
    await guestRead(temp.at('disk.qcow2'), 7, 0, 65536);
  });

  it('refuses writes when read-only', async () => {
    const server = await serveImage({ ...serve, readOnly: true });
    const { stdout } = await run('nbdinfo', ['--json', server.uri]);
    expect(JSON.parse(stdout).exports[0]).to.include({ is_read_only: true, 'export-size': 4 * MiB });
    await server.close();
  });

  it('offers a persistent bitmap', async () => {
    await run('qemu-img', ['bitmap', '--add', '-f', 'qcow2', temp.at('disk.qcow2'), 'cbt']);
    const server = await serveImage({ ...serve, readOnly: true, bitmap: 'cbt' });
    const { stdout } = await run('nbdinfo', ['--json', server.uri]);
    expect(JSON.parse(stdout).exports[0].contexts).to.include('qemu:dirty-bitmap:cbt');
    await server.close();
    await rejection(serveImage({ ...serve, readOnly: true, bitmap: 'other' }), 'bitmap_missing');
  });

  it('serves what an NBD reference names', async () => {
    const inner = await serveImage({ ...serve, readOnly: true });
    const ref = { type: 'nbd', uri: inner.uri } as const;
    const outer = await serveImage({ ref, readOnly: true, socketPath: temp.at('outer.sock') });
    expect((await run('nbdinfo', ['--size', outer.uri])).stdout.trim()).to.equal(String(4 * MiB));
    await outer.close();
    await inner.close();
  });

  it('may be closed twice', async () => {
    const server = await serveImage(serve);
    await Promise.all([server.close(), server.close()]);
    await server.close();
  });

  it('reports a death that nobody asked for, and close() reports it again', async () => {
    const server = await serveImage(serve);
    process.kill(server.pid, 'SIGKILL');
    const error = await rejection(server.exited, 'tool_failed');
    expect(error.details).to.include({ tool: 'qemu-nbd', signal: 'SIGKILL' });
    expect(await failureOf(server.close())).to.equal(error);
    expect(existsSync(server.socketPath)).to.equal(false);
  });

  it('reports a clean exit that nobody asked for', async () => {
    const server = await serveImage(serve);
    process.kill(server.pid, 'SIGTERM');
    await rejection(server.exited, 'tool_failed');
  });

  it('is killed when the signal aborts, and rejects with the reason', async () => {
    const aborting = new AbortController();
    const server = await serveImage(serve, { signal: aborting.signal });
    const reason = new StrataError('lease_lost', 'The fence moved on.');
    aborting.abort(reason);
    expect(await failureOf(server.exited)).to.equal(reason);
    expect(await isAlive(server.pid)).to.equal(false);
  });

  it('outlives the deadline of its start', async () => {
    const server = await serveImage(serve, { deadlineMs: 1000 });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await isAlive(server.pid)).to.equal(true);
    await server.close();
  });

  it('gives up a start that hangs, at its deadline or with the reason of the signal', async () => {
    const clients: Socket[] = [];
    const silent = createServer((client) => clients.push(client)).listen(temp.at('silent.sock'));
    await once(silent, 'listening');
    const ref = { type: 'nbd', uri: `nbd+unix:///?socket=${temp.at('silent.sock')}` } as const;
    const hanging = { ref, readOnly: true, socketPath: serve.socketPath };
    try {
      await rejection(serveImage(hanging, { deadlineMs: 300 }), 'tool_timeout');
      const reason = new StrataError('lease_lost', 'The fence moved on.');
      const aborting = new AbortController();
      setTimeout(() => aborting.abort(reason), 300);
      expect(await failureOf(serveImage(hanging, { signal: aborting.signal }))).to.equal(reason);
      expect(existsSync(serve.socketPath)).to.equal(false);
    } finally {
      const closed = once(silent, 'close');
      silent.close();
      for (const client of clients) client.destroy();
      await closed;
    }
  });

  it('says what the tool said when the image cannot be opened', async () => {
    await writeFile(temp.at('garbage'), 'x'.repeat(4096));
    await rejection(serveImage({ ...serve, path: temp.at('garbage'), format: 'qcow2' }), 'unknown_format');
    await rejection(serveImage({ ...serve, path: temp.at('no'), format: 'qcow2' }), 'file_missing');
    expect(existsSync(serve.socketPath)).to.equal(false);
  });

  it('never takes the place of a socket that exists, nor a path that is too long', async () => {
    const server = await serveImage({ ...serve, readOnly: true });
    await rejection(serveImage({ ...serve, readOnly: true }), 'file_exists');
    await server.close();
    await rejection(serveImage({ ...serve, socketPath: temp.at('s'.repeat(108)) }), 'path_not_allowed');
  });
});
