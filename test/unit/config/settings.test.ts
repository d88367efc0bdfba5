import { readdir, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { expect } from 'chai';
import { readSettings } from '../../../src/config/settings.js';
import { isStrataError } from '../../../src/shared/errors.js';

const fieldsOf = (env: NodeJS.ProcessEnv): string[] => {
  try {
    readSettings(env, '/project');
  } catch (error) {
    if (isStrataError(error, 'invalid_configuration')) return error.fields.map(({ field }) => field);
    throw error;
  }
  return [];
};

describe('The configuration', () => {
  it('works with nothing set: embedded services, loopback, data under the project', () => {
    const settings = readSettings({}, '/project');
    expect(settings).to.deep.include({
      dataDir: '/project/.strata',
      databaseUrl: undefined,
      redisUrl: undefined,
      pools: ['default'],
    });
    expect(settings.listen).to.deep.equal({ host: '127.0.0.1', port: 7420 });
  });

  it('tells every wrong variable at once', () => {
    expect(
      fieldsOf({
        STRATA_LISTEN: 'everywhere',
        STRATA_DATABASE_URL: 'postgres://x',
        STRATA_POOLS: 'a b',
        STRATA_SOURCE_ROOTS: 'relative',
        STRATA_LEASE_MS: '-5',
        STRATA_LOG_LEVEL: 'loud',
      }),
    ).to.have.members([
      'STRATA_LISTEN',
      'STRATA_DATABASE_URL',
      'STRATA_POOLS',
      'STRATA_SOURCE_ROOTS',
      'STRATA_LEASE_MS',
      'STRATA_LOG_LEVEL',
    ]);
  });

  it('refuses a renewal that is too slow for its lease', () => {
    expect(fieldsOf({ STRATA_LEASE_MS: '6000', STRATA_LEASE_RENEW_MS: '3000' })).to.deep.equal([
      'STRATA_LEASE_RENEW_MS',
    ]);
  });

  it('has every variable in .env.example, and that has no other', async () => {
    const files = (await readdir('src/config')).map((name) => readFile(`src/config/${name}`, 'utf8'));
    const read = new Set((await Promise.all(files)).join('\n').match(/STRATA_[A-Z_]+/g));
    const example = await readFile('.env.example', 'utf8');
    const listed = new Set([...example.matchAll(/^#?\s*(STRATA_[A-Z_]+)=/gm)].map((match) => match[1]));
    expect([...listed]).to.have.members([...read]);
  });
  it('lets agents push on loopback only, unless told otherwise, and beyond it asks what protects the exports', () => {
    const { push } = readSettings({}, '/project');
    expect(push).to.deep.include({
      address: '127.0.0.1',
      host: '127.0.0.1',
      tls: 'none',
      socketDir: undefined,
    });
    const everywhere = { STRATA_PUSH_ADDRESS: '0.0.0.0' };
    expect(fieldsOf(everywhere)).to.deep.equal(['STRATA_PUSH_TLS']);
    for (const tls of ['psk', 'x509', 'none']) {
      expect(fieldsOf({ ...everywhere, STRATA_PUSH_TLS: tls })).to.deep.equal([]);
    }
    expect(fieldsOf({ ...everywhere, STRATA_PUSH_SOCKET_DIR: '/run/agents' })).to.deep.equal([]);
    expect(readSettings({ ...everywhere, STRATA_PUSH_TLS: 'psk' }, '/').push.host).to.equal(hostname());
  });

  it('takes one port or a range of them for agents', () => {
    const ports = (text: string) => readSettings({ STRATA_PUSH_PORTS: text }, '/').push.ports;
    expect(ports('7000-7010')).to.deep.equal({ first: 7000, last: 7010 });
    expect(ports('7000')).to.deep.equal({ first: 7000, last: 7000 });
    for (const text of ['0', '7010-7000', '1-70000', 'all', '1-2-3', '-5']) {
      expect(fieldsOf({ STRATA_PUSH_PORTS: text }), text).to.deep.equal(['STRATA_PUSH_PORTS']);
    }
  });
});
