import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Problem, Repository, RepositoryValidation } from '../../../src/contract/index.js';
import { BackupJob } from '../../../src/entities/index.js';
import { fits, openApi, type TestApi } from '../producers/http/support.js';
import { placeOf } from '../services/validation/deep/places.js';
import { flip } from '../services/validation/faultTools.js';
import { type Ended, runMain } from './system.js';

const MIB = 1024 * 1024;
const BLOCK = 65_536;
/** Blocks of the disk that rot, by their offset. */
const ROT = [3 * BLOCK, MIB];

describe('What an operator sees of validations and damage', function () {
  this.timeout(120_000);
  let api: TestApi;
  let dataDir = '';
  let url = '';
  const content = Buffer.alloc(2 * MIB, 0x41);
  let backupId = '';

  before(async () => {
    api = await openApi();
    const address = await api.app.listen({ host: '127.0.0.1', port: 0 });
    url = `${address}/api/v1`;
    dataDir = await mkdtemp(join(tmpdir(), 'cli-'));
    api.fleet.work();
    for (const name of ['web', 'mail']) {
      const path = join(api.fleet.sources, `${name}.raw`);
      await writeFile(path, content);
      const disks = [{ disk_id: 0, source: { type: 'file', path, format: 'raw' } }];
      const { body } = await api.call('POST', 'backups', {
        body: { vm_name: name, repository_id: 'main', backup_type: 'full', disks },
      });
      const id = body.disk_results[0].backup_id;
      expect((await api.fleet.ended(id)).status).to.equal('completed');
      if (name === 'web') backupId = id;
    }
  });
  after(async () => {
    await api.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  const strata = (...args: string[]): Promise<Ended> =>
    runMain('cli', args, { STRATA_DATA_DIR: dataDir, STRATA_URL: url, STRATA_TOKEN: api.tokens.admin });
  /** A command that must succeed: what it prints, with runs of blanks as one. */
  const said = async (...args: string[]) => {
    const { code, out, err } = await strata(...args);
    expect(code, err).to.equal(0);
    return out.replaceAll(/ +/g, ' ');
  };

  /** No process of the fleet is started here. */
  const unserved = (name: string) =>
    `warning: no live worker serves backup, maintenance, restore jobs of the pool default: jobs of repository ${name} wait until one is started with STRATA_POOLS=default.\n`;

  it('is how often chains are validated, as it was set, and what is overdue', async () => {
    const set = ['--validate-quick-hours', '12', '--validate-deep-days', '7'];
    expect(await said('repo', 'set', 'main', ...set, '--validate-bytes-per-hour', '10GiB')).to.equal(
      `Changed repository main.\n${unserved('main')}`,
    );
    const shown = await said('repo', 'show', 'main');
    expect(shown).to.contain('\nchains 2 ok, 0 suspect, 0 damaged\nill backups 0 suspect, 0 damaged\n');
    expect(shown).to.contain('\nvalidated quickly every 12 h: 0 overdue, the longest wait is 0 h\n');
    expect(shown).to.contain(
      '\nvalidated deeply every 7 days, 10.0 GiB an hour at most: 0 overdue, the longest wait is 0 h\n',
    );
    await api.fleet.suite.ds.query(
      'UPDATE backup_jobs SET completed_at = completed_at - INTERVAL 8 DAY WHERE id = ?',
      [backupId],
    );
    expect(await said('repo', 'show', 'main')).to.contain(
      'every 7 days, 10.0 GiB an hour at most: 1 overdue, the',
    );
    await said('repo', 'set', 'main', '--validate-deep-days', '0', '--validate-bytes-per-hour', 'none');
    expect(await said('repo', 'show', 'main')).to.contain('\nvalidated deeply never\n');
    for (const wrong of [
      ['--validate-quick-hours', 'often'],
      ['--validate-deep-days', '-1'],
    ])
      expect((await strata('repo', 'set', 'main', ...wrong)).code).to.equal(2);
    await said('repo', 'set', 'main', '--validate-deep-days', '7');
  });

  it('is the cadence that a repository was registered with', async () => {
    const add = async (name: string, ...options: string[]) => {
      const directory = join(dataDir, name);
      await mkdir(directory);
      const done = await said('repo', 'add', name, directory, ...options);
      expect(done.replace(unserved(name), '')).to.match(
        new RegExp(`^Registered repository ${name} \\(repo_[0-9a-z]+\\)\\.\n$`),
      );
      return directory;
    };
    const own = ['--validate-quick-hours', '6', '--validate-deep-days', '14'];
    const directories = [
      await add('own', ...own, '--validate-bytes-per-hour', '100GiB'),
      await add('unwatched', '--validate-quick-hours', '0', '--validate-deep-days', '0'),
    ];
    const stored = {
      validate_quick_hours: 6,
      validate_deep_days: 14,
      validate_bytes_per_hour: 100 * 1024 ** 3,
    };
    const shown = JSON.parse(await said('repo', 'show', 'own', '--json'));
    expect(shown).to.deep.include(stored);
    expect(await api.read(`repositories/${shown.id}`, Repository)).to.deep.include(stored);
    expect(await said('repo', 'show', 'own')).to.contain(
      '\nvalidated quickly every 6 h: 0 overdue, the longest wait is 0 h\n' +
        'validated deeply every 14 days, 100.0 GiB an hour at most: 0 overdue, the longest wait is 0 h\n',
    );
    const listed = await said('repo', 'list');
    for (const [i, cadence] of ['6 h, 14 days', 'never, never'].entries())
      expect(listed).to.contain(` ${cadence} ${directories[i]} `);
    const refused = await strata('repo', 'add', 'x', dataDir, '--validate-bytes-per-hour', '1MiB');
    expect([refused.code, refused.out]).to.deep.equal([2, '']);
    expect(refused.err).to.contain('validate_bytes_per_hour');
    for (const name of ['own', 'unwatched']) await said('repo', 'remove', name);
  });

  it('is where the damage is and what to do, of one chain and of many, with exit code 6', async () => {
    expect(await said('validate', '--vm', 'web', '--wait')).to.contain('1 of 1 chains are healthy.\n');
    const row = await api.fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id: backupId });
    const image = join(api.fleet.repositoryRoot, row.repositoryPath ?? '');
    for (const offset of ROT) await flip(image, await placeOf(image, offset + 7));
    const all = await strata('validate', '--repository', 'main', '--deep', '--wait');
    expect(all.code).to.equal(6);
    // The file has its time back to the millisecond only, which may be a warning.
    const [, first = '', second = ''] = all.out.split('\n');
    expect(first).to.match(/^web +0 +damaged +1 +[01] +1 +mnt_/);
    expect(second).to.match(/^mail +0 +ok +0 +0 +0 +mnt_/);
    expect(all.out).to.contain('1 of 2 chains are healthy.\n');
    expect(all.out).to.match(/What to do next [^]*\n {2}data_damaged: .*\n {4}web disk 0\n/);
    const one = await strata('validate', 'web', '--deep', '--wait');
    expect(one.code).to.equal(6);
    for (const offset of ROT)
      expect(one.out.replaceAll(/ +/g, ' ')).to.contain(
        `\n${backupId} wrong ${offset} ${BLOCK} ${backupId}\n`,
      );
  });

  it('is every repository in `status`, also where the fleet is not of this host', async () => {
    const validation = await api.read(
      `repositories/${api.fleet.repositoryId}/validation`,
      RepositoryValidation,
    );
    expect(validation).to.deep.include({
      chains: { ok: 1, suspect: 0, damaged: 1 },
      backups: { suspect: 0, damaged: 1 },
    });
    const { code, out } = await strata('status');
    expect(code).to.equal(7);
    const lines = out.replaceAll(/ +/g, ' ').trimEnd().split('\n');
    expect(lines.slice(-3)).to.deep.equal([
      'REPOSITORY CHAINS SUSPECT DAMAGED DAMAGED BACKUPS OVERDUE QUICK OVERDUE DEEP',
      'main 2 0 1 1 0 0',
      'Repository main: no live worker serves backup, maintenance, restore jobs of its pool default (STRATA_POOLS).',
    ]);
    const inJson = await strata('status', '--json');
    const { repositories } = JSON.parse(inJson.out);
    expect(repositories).to.have.length(1);
    const { repository_id, chains, backups } = validation;
    expect(repositories[0]).to.deep.include({ name: 'main', repository_id, chains, backups });
    const alone = await runMain('cli', ['status'], { STRATA_DATA_DIR: dataDir });
    expect(alone.out).to.contain('The API does not answer: how the repositories are is not known.\n');
  });

  /** What a refusal says. */
  const known = () => ({
    located: true,
    count: ROT.length,
    bytes: ROT.length * BLOCK,
    ranges: ROT.map((offset) => ({ offset, length: BLOCK, in_backup: backupId, unreadable: false })),
  });
  const damage = {
    ranges: ROT.map((offset) => ({ offset, length: BLOCK })),
    bytes: ROT.length * BLOCK,
    more: false,
  };
  /** All that is said to be right is right, and all else is wrong. */
  const expectHealthyBytes = async (path: string) => {
    const found = await readFile(path);
    for (const { offset, length } of damage.ranges) {
      expect(found.subarray(offset, offset + length).equals(content.subarray(0, length))).to.equal(false);
      content.copy(found, offset, offset, offset + length);
    }
    expect(found.equals(content)).to.equal(true);
  };

  it('is that a damaged backup is not restored over HTTP unless that is allowed, and then which ranges are wrong', async () => {
    const path = join(api.fleet.restores, 'http.raw');
    const body = { backup_id: backupId, target: { type: 'file', path }, format: 'raw' };
    const refused = await api.call('POST', 'restores', { body });
    expect([refused.status, refused.body.code]).to.deep.equal([409, 'backup_damaged']);
    expect(refused.body.detail).to.contain(backupId).and.to.contain('allow_damaged');
    expect(refused.body.detail).to.contain(
      `2 ranges of ${2 * BLOCK} bytes (${ROT[0]}+${BLOCK}, ${ROT[1]}+${BLOCK})`,
    );
    fits(Problem, refused.body);
    expect(refused.body.damage).to.deep.equal(known());
    const unproved = await api.call('POST', 'restores', {
      body: { ...body, allow_damaged: true, verify: false },
    });
    expect([unproved.status, unproved.body.errors[0].field]).to.deep.equal([400, 'verify']);
    const accepted = await api.call('POST', 'restores', { body: { ...body, allow_damaged: true } });
    expect(accepted.status, accepted.text).to.equal(202);
    await api.fleet.ended(accepted.body.restore_id);
    const { body: restore } = await api.call('GET', `restores/${accepted.body.restore_id}`);
    expect(restore).to.include({ status: 'completed', allow_damaged: true });
    expect(restore.result).to.deep.include({ verified: false, damage });
    await expectHealthyBytes(path);
  });

  it('is the same on the command line', async () => {
    const path = join(api.fleet.restores, 'cli.raw');
    const refused = await strata('restore', backupId, path, '--wait');
    expect([refused.code, refused.out]).to.deep.equal([3, '']);
    expect(refused.err).to.contain(
      '\n  damaged ranges: 2, 128.0 KiB in all (offset, length in bytes):\n' +
        ROT.map((offset) => `    ${offset} ${BLOCK} in ${backupId}\n`).join(''),
    );
    const inJson = await strata('restore', backupId, path, '--json');
    expect([inJson.code, inJson.out]).to.deep.equal([3, '']);
    expect(JSON.parse(inJson.err)).to.deep.include({ code: 'backup_damaged', damage: known() });
    const { code, out } = await strata('restore', backupId, path, '--allow-damaged', '--wait');
    expect([code, out]).to.deep.equal([
      0,
      `Restored ${backupId} to ${path} (raw).\n` +
        'It is NOT what was backed up in 2 ranges, 128.0 KiB in all:\n' +
        ROT.map((offset) => `  offset ${offset} length ${BLOCK}\n`).join(''),
    ]);
    await expectHealthyBytes(path);
  });
});
