import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { compareImages, imageInfo, type ImageRef } from '../../../src/qcow2/index.js';
import { makeCertificates } from '../../helpers/certificates.js';
import { freePort } from '../../helpers/freePort.js';
import { failureOf, MiB, randomImage, run, tempDir, until } from './images.js';

describe('an nbds:// source', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  let server: ChildProcess;
  let port: number;

  before(async () => {
    temp = await tempDir();
    await randomImage(temp.at('disk.raw'), MiB);
    await makeCertificates(temp.dir);
    port = await freePort();
    const tls = `tls-creds-x509,id=tls0,endpoint=server,verify-peer=off,dir=${temp.dir}`;
    const args = ['--persistent', '--read-only', '--object', tls, '--tls-creds', 'tls0', '-f', 'raw'];
    server = spawn(
      'qemu-nbd',
      [...args, '-b', '127.0.0.1', '-p', String(port), '-x', 'disk', temp.at('disk.raw')],
      {
        stdio: 'inherit',
      },
    );
    const ref: ImageRef = { type: 'nbd', uri: uri() };
    await until(
      () =>
        imageInfo(ref).then(
          () => true,
          () => false,
        ),
      'the server answers',
    );
  });
  after(async () => {
    const exited = once(server, 'exit');
    server.kill();
    await exited;
    await temp.remove();
  });

  const uri = (): string => `nbds://127.0.0.1:${port}/disk?tls-certificates=${temp.dir}`;

  it('is read over TLS', async () => {
    const local: ImageRef = { type: 'file', path: temp.at('disk.raw'), format: 'raw' };
    expect((await compareImages({ type: 'nbd', uri: uri() }, local)).identical).to.equal(true);
  });

  it('is not read from a server that another authority vouches for', async () => {
    const other = await tempDir();
    try {
      await run('openssl', [
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-days',
        '1',
        '-subj',
        '/CN=other',
        '-keyout',
        other.at('k'),
        '-out',
        other.at('ca-cert.pem'),
      ]);
      const wrong = uri().replace(temp.dir, other.dir);
      expect(await failureOf(imageInfo({ type: 'nbd', uri: wrong }))).to.have.property('code');
    } finally {
      await other.remove();
    }
  });
});
