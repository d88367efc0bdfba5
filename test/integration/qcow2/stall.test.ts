import { expect } from 'chai';
import { type ConvertImage, convertImage } from '../../../src/qcow2/index.js';
import { type NbdServer, startNbdkit } from '../../helpers/nbdServers.js';
import { childrenOf, MiB, rejection, tempDir } from './images.js';

const SILENCE_MS = 500;

describe('A copy from an NBD server', () => {
  let temp: Awaited<ReturnType<typeof tempDir>>;
  let server: NbdServer | undefined;
  beforeEach(async () => {
    temp = await tempDir();
  });
  afterEach(async () => {
    await server?.stop();
    await temp.remove();
  });

  /** 8 MiB in pieces of 2 MiB. */
  const copy = async (delay: string, options: ConvertImage = {}) => {
    server = await startNbdkit('--filter=delay', 'pattern', String(8 * MiB), `rdelay=${delay}`);
    return convertImage(
      { type: 'nbd', uri: server.uri() },
      { type: 'file', path: temp.at('full.qcow2'), format: 'qcow2' },
      { sourceSilenceMs: SILENCE_MS, ...options },
    );
  };

  it('that is silent ends with nbd_connection_lost after the time, and its process is gone', async () => {
    const before = await childrenOf(process.pid);
    const begun = performance.now();
    await rejection(copy('60'), 'nbd_connection_lost');
    expect(performance.now() - begun).to.be.within(SILENCE_MS, 6 * SILENCE_MS);
    const own = [...before, server?.child.pid];
    expect((await childrenOf(process.pid)).filter((pid) => !own.includes(pid))).to.deep.equal([]);
    server?.child.kill('SIGKILL');
  });

  it('that is slow goes on, for however long it takes as a whole', async () => {
    const begun = performance.now();
    await copy('250ms', { coroutines: 1 });
    expect(performance.now() - begun).to.be.above(2 * SILENCE_MS);
  });

  it('that is held up by a rate limit goes on', async () => {
    await copy('0', { bytesPerSecond: 4 * MiB });
  });
});
