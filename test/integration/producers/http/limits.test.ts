import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Backup, Repository, Restore } from '../../../../src/contract/index.js';
import { makeDisk } from '../../../helpers/disks.js';
import { fits, isProblem, openApi, type TestApi } from './support.js';

const MIB = 1024 * 1024;

describe('Limits in requests', () => {
  let api: TestApi;
  let disks: object[];
  before(async () => {
    api = await openApi();
    const path = join(api.fleet.sources, 'disk.raw');
    await makeDisk(path, MIB, [[0, 100_000]]);
    disks = [{ disk_id: 0, source: { type: 'file', path, format: 'raw' } }];
  });
  after(() => api.close());

  const backUp = (limits: object) =>
    api.call('POST', 'backups', {
      body: { vm_name: 'web', repository_id: 'main', backup_type: 'full', disks, ...limits },
    });
  const count = async (table: string) =>
    Number((await api.fleet.suite.ds.query<{ n: string }[]>(`SELECT COUNT(*) AS n FROM ${table}`))[0]?.n);

  it('of a repository are kept, changed and taken away, and nothing below 64 KiB/s is taken', async () => {
    const root_path = join(api.fleet.suite.tempDir, 'second');
    await mkdir(root_path);
    const create = (max_bytes_per_second: unknown) =>
      api.call('POST', 'repositories', {
        body: { name: 'second', type: 'local', root_path, max_bytes_per_second },
      });
    for (const wrong of [65_535, 0, -1, 1.5e5 + 0.5, '100000', null]) {
      expect(isProblem(await create(wrong), 400, 'invalid_request')).to.deep.equal(['max_bytes_per_second']);
    }
    expect(await count('repositories')).to.equal(1);
    const { body: created, text } = await create(65_536);
    fits(Repository, created);
    expect(created.max_bytes_per_second, text).to.equal(65_536);
    const change = (max_bytes_per_second: unknown) =>
      api.call('PATCH', `repositories/${created.id}`, { body: { max_bytes_per_second } });
    expect((await change(MIB)).body.max_bytes_per_second).to.equal(MIB);
    expect(isProblem(await change(1), 400, 'invalid_request')).to.deep.equal(['max_bytes_per_second']);
    expect((await api.read(`repositories/${created.id}`, Repository)).max_bytes_per_second).to.equal(MIB);
    expect((await change(null)).body.max_bytes_per_second).to.equal(null);
  });

  it('of a backup and a restore are kept with it, and a wrong one accepts nothing', async () => {
    for (const [field, wrong] of [
      ['max_bytes_per_second', 65_535],
      ['max_bytes_per_second', null],
      ['deadline_seconds', 0],
      ['deadline_seconds', 1.5],
      ['deadline_seconds', 2_147_484],
    ] as const) {
      expect(isProblem(await backUp({ [field]: wrong }), 400, 'invalid_request')).to.deep.equal([field]);
    }
    expect(await count('backup_jobs')).to.equal(0);
    const limits = { max_bytes_per_second: 64 * MIB, deadline_seconds: 60 };
    const id: string = (await backUp(limits)).body.disk_results[0].backup_id;
    expect(await api.read(`backups/${id}`, Backup)).to.include(limits);
    api.fleet.work();
    expect(await api.fleet.ended(id)).to.include({ status: 'completed' });
    const target = { type: 'file', path: join(api.fleet.restores, 'web.raw') };
    const restore = (more: object) =>
      api.call('POST', 'restores', { body: { backup_id: id, target, format: 'raw', ...more } });
    expect(isProblem(await restore({ deadline_seconds: 0 }), 400, 'invalid_request')).to.deep.equal([
      'deadline_seconds',
    ]);
    const { body: accepted } = await restore(limits);
    expect(await api.read(`restores/${accepted.restore_id}`, Restore)).to.include(limits);
    expect(await api.fleet.ended(accepted.restore_id)).to.include({ status: 'completed' });
  });
});
