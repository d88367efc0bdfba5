import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { readGateCredentials } from '../../../../src/datapath/index.js';
import { connectNbd, listExports, type NbdTlsOptions } from '../../../../src/datapath/nbd/index.js';
import { makeCertificates } from '../../../helpers/certificates.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { runTool } from '../../../helpers/runTool.js';
import { NAME, openPushing, type Pushing } from './pushing.js';

const KEY = '0123456789abcdef'.repeat(4);
const CONVERT = ['convert', '-n', '-f', 'raw', '--target-image-opts', '--object'];

describe('The gate of a push export with TLS', () => {
  let pushing: Pushing;
  before(async () => {
    pushing = await openPushing();
    await makeCertificates(pushing.folder);
    await writeFile(pushing.file('keys.psk'), `# agents\nalice:${KEY}\n`);
  });
  afterEach(() => pushing.reset());
  after(() => pushing.close());

  const target = () =>
    [
      'driver=raw,file.driver=nbd,file.server.type=inet,file.server.host=127.0.0.1',
      `file.server.port=${pushing.port},file.export=${NAME},file.tls-creds=t`,
    ].join(',');

  const tlsPsk = (key = KEY, identity = 'alice'): NbdTlsOptions => ({
    psk: { identity, key: Buffer.from(key, 'hex') },
  });

  it('takes a pre-shared key from libnbd, QEMU and our own client, and no other key', async () => {
    await pushing.open({ credentials: await readGateCredentials('psk', pushing.folder) });
    await runTool(
      'nbdcopy',
      pushing.file('disk.raw'),
      `${pushing.uri(NAME, 'nbds').replace('//', '//alice@')}?tls-psk-file=${pushing.file('keys.psk')}`,
    );
    await runTool(
      'qemu-img',
      ...CONVERT,
      `tls-creds-psk,id=t,dir=${pushing.folder},endpoint=client,username=alice`,
      pushing.file('disk.raw'),
      target(),
    );
    await (await connectNbd(pushing.uri(NAME, 'nbds'), { tls: tlsPsk() })).close();
    for (const tls of [tlsPsk('ff'.repeat(32)), tlsPsk(KEY, 'mallory')]) {
      expect(await codeOf(connectNbd(pushing.uri(NAME, 'nbds'), { tls }))).to.equal('nbd_connection_lost');
    }
    expect(await codeOf(connectNbd(pushing.uri('other', 'nbds'), { tls: tlsPsk() }))).to.equal('nbd_refused');
    expect(await codeOf(listExports(pushing.uri(NAME, 'nbds'), { tls: tlsPsk() }))).to.equal('nbd_refused');
    await pushing.finished();
  });

  it('takes certificates of its authority from libnbd, QEMU and our own client, and nobody without one', async () => {
    await pushing.open({ credentials: await readGateCredentials('x509', pushing.folder) });
    await runTool(
      'nbdcopy',
      pushing.file('disk.raw'),
      `${pushing.uri(NAME, 'nbds')}?tls-certificates=${pushing.folder}`,
    );
    await runTool(
      'qemu-img',
      ...CONVERT,
      `tls-creds-x509,id=t,dir=${pushing.folder},endpoint=client`,
      pushing.file('disk.raw'),
      target(),
    );
    const ca = await readFile(pushing.file('ca-cert.pem'));
    const own = {
      cert: await readFile(pushing.file('client-cert.pem')),
      key: await readFile(pushing.file('client-key.pem')),
    };
    await (await connectNbd(pushing.uri(NAME, 'nbds'), { tls: { ca, ...own } })).close();
    expect(await codeOf(connectNbd(pushing.uri(NAME, 'nbds'), { tls: { ca } }))).to.equal(
      'nbd_connection_lost',
    );
    const other = await mkdtemp(join(pushing.folder, 'other-'));
    await makeCertificates(other);
    const foreign = {
      cert: await readFile(join(other, 'client-cert.pem')),
      key: await readFile(join(other, 'client-key.pem')),
    };
    expect(await codeOf(connectNbd(pushing.uri(NAME, 'nbds'), { tls: { ca, ...foreign } }))).to.equal(
      'nbd_connection_lost',
    );
    await pushing.finished();
  });

  it('is the only way in: plain text gets nothing but a refusal', async () => {
    await pushing.open({ credentials: await readGateCredentials('psk', pushing.folder) });
    expect(await codeOf(connectNbd(pushing.uri()))).to.equal('nbd_refused');
    expect(await codeOf(listExports(pushing.uri()))).to.equal('nbd_refused');
    expect(pushing.exported()?.traffic().entered).to.equal(false);
  });

  it('says which file of the credentials is missing or malformed', async () => {
    const empty = await mkdtemp(join(pushing.folder, 'empty-'));
    expect(await codeOf(readGateCredentials('psk', empty))).to.equal('invalid_configuration');
    expect(await codeOf(readGateCredentials('x509', empty))).to.equal('invalid_configuration');
    for (const text of ['', 'alice', 'alice:xyz', 'alice:0123', `a b:${KEY}`]) {
      await writeFile(join(empty, 'keys.psk'), text);
      expect(await codeOf(readGateCredentials('psk', empty)), text).to.equal('invalid_configuration');
    }
  });
});
