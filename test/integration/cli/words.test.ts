import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { openApi, type TestApi } from '../producers/http/support.js';
import { type Ended, runMain } from './system.js';

describe('What the command line says to a mistake', function () {
  this.timeout(120_000);
  let api: TestApi;
  let dataDir = '';
  let url = '';

  before(async () => {
    api = await openApi();
    url = await api.app.listen({ host: '127.0.0.1', port: 0 });
    dataDir = await mkdtemp(join(tmpdir(), 'cli-'));
    for (const vm_name of ['web-frontend', 'Datenbank', 'mail\u202Eevil']) {
      const disks = [0, 10].map((disk_id) => ({ disk_id, virtual_size: 1024 }));
      const answer = await api.call('PUT', 'vms', { body: { vm_name, repository_id: 'main', disks } });
      expect(answer.status, answer.text).to.equal(200);
    }
  });
  after(async () => {
    await api.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  const strata = (env: Record<string, string>, ...args: string[]): Promise<Ended> =>
    runMain('cli', args, {
      STRATA_DATA_DIR: dataDir,
      STRATA_URL: url,
      STRATA_TOKEN: api.tokens.admin,
      ...env,
    });
  /** What a command that must fail says. */
  const refused = async (...args: string[]) => {
    const { code, err } = await strata({}, ...args);
    expect(code, err).not.to.equal(0);
    return err;
  };

  it('names the VM that may be meant, and how to see all of them', async () => {
    const near = await refused('vm', 'show', 'web-fronted');
    expect(near).to.contain(
      'There is no VM named web-fronted. Did you mean web-frontend? All of them: strata vm list.',
    );
    expect(await refused('points', 'datenbanc')).to.contain('Did you mean Datenbank?');
    const far = await refused('vm', 'show', 'nothing of the kind');
    expect(far).to.contain('There is no VM named nothing of the kind. All of them: strata vm list.');
  });

  it('names the disks that there are', async () => {
    const there = /has no disk 7; it has disks 0, 10\./;
    expect(await refused('chain', 'Datenbank', '7')).to.match(there);
    expect(await refused('validate', 'Datenbank', '7')).to.match(there);
    expect(await refused('backup', 'Datenbank', '--disk', '7')).to.contain('The VM has disks 0, 10.');
  });

  it('says that an address begins with http://, before it asks for a token', async () => {
    const bare = await strata({ STRATA_TOKEN: '' }, 'vm', 'list', '--url', '127.0.0.1:7550');
    expect(bare.code).to.equal(2);
    expect(bare.err).to.contain('"127.0.0.1:7550" is no address of an API: write http://127.0.0.1:7550.');
    const other = await strata({ STRATA_URL: 'ftp://host/' }, 'vm', 'list');
    expect(other.err).to.contain('write http://HOST:PORT.');
  });

  it('names the five fields of a schedule where four are given', async () => {
    const said = await refused('policy', 'add', 'nightly', '--schedule', '30 2 * *');
    expect(said).to.contain(
      'it has 4 fields; five are needed: minute, hour, day of month, month, day of week.',
    );
  });

  it('says which sizes there are near one that is none', async () => {
    const put = { vm_name: 'odd', repository_id: 'main', disks: [{ disk_id: 0, virtual_size: 1000 }] };
    const { body } = await api.call('PUT', 'vms', { body: put });
    expect(body.detail).to.contain('The next one is 1024.');
  });

  it('says where sources and restores may be, and how to allow more', async () => {
    const source = await refused(
      'vm',
      'add',
      'x',
      '--repo',
      'main',
      '--disk',
      '/etc/shadow',
      '--format',
      'raw',
    );
    expect(source).to.contain(
      `/etc/shadow is not where a source may be: below STRATA_SOURCE_ROOTS (${api.fleet.sources}).`,
    );
    expect(source).to.contain('strata up --allow PATH');
    const target = { backup_id: 'bkp_0', target: { type: 'file', path: '/etc/cron.d/x' }, format: 'raw' };
    const { body } = await api.call('POST', 'restores', { body: target });
    expect(body.detail).to.match(
      /^\/etc\/cron\.d\/x is not where a restore may be: below STRATA_RESTORE_ROOTS \(/,
    );
    // The same, whether it exists or not.
    const absent = { ...target, target: { type: 'file', path: '/etc/cron.d/absent/x' } };
    const other = await api.call('POST', 'restores', { body: absent });
    expect(other.body.detail.replace('absent/', '')).to.equal(body.detail);
  });

  it('lets no name steer the terminal, in a table, a sentence or JSON', async () => {
    const name = 'mail\u202Eevil';
    for (const args of [
      ['vm', 'list'],
      ['vm', 'add', name, '--repo', 'main'],
    ]) {
      const shown = await strata({}, ...args);
      expect(shown.code, shown.err).to.equal(0);
      expect(shown.out).to.contain('mail\\u202eevil').and.not.to.contain('\u202E');
    }
    const json = await strata({}, '--json', 'vm', 'list');
    expect(json.out).not.to.contain('\u202E');
    expect(JSON.stringify(JSON.parse(json.out))).to.contain(name);
    expect(await refused('vm', 'show', '\u202Enone')).to.contain('\\u202enone');
  });
});
