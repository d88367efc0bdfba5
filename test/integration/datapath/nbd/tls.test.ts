import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectNbd, listExports } from '../../../../src/datapath/nbd/index.js';
import { makeCertificates } from '../../../helpers/certificates.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { type NbdServer, startNbdkit } from '../../../helpers/nbdServers.js';

const MIB = 1024 * 1024;
let folder: string;
let ca: Buffer;
const servers: NbdServer[] = [];

const file = (name: string) => join(folder, name);

async function serve(...args: string[]): Promise<string> {
  const server = await startNbdkit(...args);
  servers.push(server);
  return server.uri().replace('nbd+', 'nbds+');
}

describe('NBD client over TLS', () => {
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'strata-nbd-tls-'));
    await makeCertificates(folder);
    ca = await readFile(file('ca-cert.pem'));
    await writeFile(join(folder, 'keys.psk'), `alice:${'0123456789abcdef'.repeat(4)}\n`, { mode: 0o600 });
  });

  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop();
  });

  after(() => rm(folder, { recursive: true, force: true }));

  it('moves data both ways, encrypted, with a certificate that the authority signed', async () => {
    const uri = await serve('--tls=require', `--tls-certificates=${folder}`, 'memory', '16M');
    const client = await connectNbd(uri, { tls: { ca }, metaContexts: ['base:allocation'] });
    const content = randomBytes(8 * MIB);
    await Promise.all(
      Array.from({ length: 32 }, (_, i) =>
        client.write(i * 262144, content.subarray(i * 262144, (i + 1) * 262144)),
      ),
    );
    const parts = await Promise.all(Array.from({ length: 32 }, (_, i) => client.read(i * 262144, 262144)));
    expect(Buffer.concat(parts).equals(content)).to.equal(true);
    expect(client.metaContexts).to.deep.equal(['base:allocation']);
    await client.close();
    expect(await listExports(uri, { tls: { ca } })).to.have.length(1);
  });

  it('refuses a certificate of another name, and of an unknown authority', async () => {
    const uri = await serve('--tls=require', `--tls-certificates=${folder}`, 'memory', '1M');
    expect(await codeOf(connectNbd(uri, { tls: { ca, servername: 'other.example' } }))).to.equal(
      'nbd_connection_lost',
    );
    expect(await codeOf(connectNbd(uri))).to.equal('nbd_connection_lost');
  });

  it('authenticates by a pre-shared key, and fails with a wrong one', async () => {
    const uri = await serve('--tls=require', `--tls-psk=${join(folder, 'keys.psk')}`, 'pattern', '1M');
    const key = Buffer.from('0123456789abcdef'.repeat(4), 'hex');
    const client = await connectNbd(uri, { tls: { psk: { identity: 'alice', key } } });
    expect((await client.read(8, 8)).toString('hex')).to.equal('0000000000000008');
    await client.close();
    const wrong = { identity: 'alice', key: Buffer.alloc(32, 1) };
    expect(await codeOf(connectNbd(uri, { tls: { psk: wrong } }))).to.equal('nbd_connection_lost');
    expect(await codeOf(connectNbd(uri, { tls: { psk: { key } } }))).to.equal('invalid_configuration');
  });

  it('is not used, and not missed, by an nbd URI; a server that requires it refuses', async () => {
    const uri = await serve('--tls=require', `--tls-certificates=${folder}`, 'memory', '1M');
    expect(await codeOf(connectNbd(uri.replace('nbds', 'nbd')))).to.equal('nbd_refused');
  });

  it('refuses a server that has no TLS', async () => {
    expect(await codeOf(connectNbd(await serve('memory', '1M')))).to.equal('nbd_refused');
  });

  it('a server that dies in the middle rejects outstanding requests', async () => {
    const uri = await serve(
      '--tls=require',
      `--tls-certificates=${folder}`,
      '--filter=delay',
      'memory',
      '1M',
      'delay-read=30',
    );
    const client = await connectNbd(uri, { tls: { ca } });
    const codes = [codeOf(client.read(0, 512)), codeOf(client.read(0, 512))];
    servers[0]?.child.kill('SIGKILL');
    expect(await Promise.all(codes)).to.deep.equal(['nbd_connection_lost', 'nbd_connection_lost']);
  });
});
