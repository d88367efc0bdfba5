import { cp, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Repository } from '../../../../src/contract/index.js';
import { MARKER_NAME } from '../../../../src/services/repository/marker.js';
import { makeDisk } from '../../../helpers/disks.js';
import { runMain } from '../../cli/system.js';
import { fits, isProblem, openApi, type TestApi } from './support.js';

describe('A repository that has moved', function () {
  this.timeout(60_000);
  let api: TestApi;
  let dataDir = '';
  let url = '';
  before(async () => {
    api = await openApi();
    url = `${await api.app.listen({ host: '127.0.0.1', port: 0 })}/api/v1`;
    dataDir = await mkdtemp(join(tmpdir(), 'cli-'));
    api.fleet.work();
    await makeDisk(join(api.fleet.sources, 'disk.raw'), 1024 * 1024, [[0, 100_000]]);
    await backup('full');
  });
  after(async () => {
    await api.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  const place = (name: string) => join(api.fleet.suite.tempDir, name);
  const adopt = (root_path: string, as: 'admin' | 'operator' = 'admin') =>
    api.call('POST', 'repositories/adopt', { as, body: { root_path } });
  const rootOf = async () => (await api.call('GET', `repositories/${api.fleet.repositoryId}`)).body.root_path;
  const backup = async (type: 'full' | 'incremental') => {
    const source = { type: 'file', path: join(api.fleet.sources, 'disk.raw'), format: 'raw' };
    const { body } = await api.call('POST', 'backups', {
      body: { vm_name: 'web', repository_id: 'main', backup_type: type, disks: [{ disk_id: 0, source }] },
    });
    const id = body.disk_results[0].backup_id;
    expect((await api.fleet.ended(id)).status).to.equal('completed');
    return (await api.call('GET', `backups/${id}`)).body;
  };
  const events = async () => {
    const rows = await api.fleet.suite.ds.query<{ type: string }[]>(
      "SELECT type FROM outbox_events WHERE type = 'repository.moved'",
    );
    return rows.length;
  };

  it('is not taken up while its old place still has the marker, and nothing is changed', async () => {
    await cp(api.fleet.repositoryRoot, place('copy'), { recursive: true });
    isProblem(await adopt(place('copy')), 409, 'repository_still_there');
    expect(await rootOf()).to.equal(api.fleet.repositoryRoot);
    await rm(place('copy'), { recursive: true });
  });

  it('is not taken up where there is no marker, an unknown one, or no directory of ours', async () => {
    await mkdir(place('empty'));
    const empty = await adopt(place('empty'));
    isProblem(empty, 400, 'invalid_request');
    expect(empty.body.detail).to.contain('strata repo add');
    const marker = { format: 'strata-repository', version: 1, repository_id: 'repo_unknown' };
    await writeFile(join(place('empty'), MARKER_NAME), JSON.stringify(marker));
    const unknown = await adopt(place('empty'));
    isProblem(unknown, 404, 'not_found');
    expect(unknown.body.detail).to.contain('--adopt');
    isProblem(await adopt('relative'), 400, 'path_not_allowed');
    isProblem(await adopt(place('copy'), 'operator'), 403, 'forbidden');
  });

  it('is not taken up where it cannot be told whether it is still at its old place', async () => {
    await rename(api.fleet.repositoryRoot, place('moved'));
    await symlink('repository', api.fleet.repositoryRoot);
    isProblem(await adopt(place('moved')), 503, 'repository_unavailable');
    await rm(api.fleet.repositoryRoot);
    await rename(place('moved'), api.fleet.repositoryRoot);
  });

  it('is not taken up while its jobs run', async () => {
    await rename(api.fleet.repositoryRoot, place('moved'));
    const { ds } = api.fleet.suite;
    const turn = (from: string, to: string) =>
      ds.query('UPDATE backup_jobs SET status = ? WHERE status = ?', [to, from]);
    await ds.query('UPDATE backup_chains SET latest_backup_id = NULL, full_backup_id = NULL');
    await turn('completed', 'running');
    const busy = await adopt(place('moved'));
    isProblem(busy, 409, 'repository_busy');
    expect(busy.body.detail).to.contain('bkp_');
    await turn('running', 'completed');
    await ds.query(
      'UPDATE backup_chains SET latest_backup_id = (SELECT MAX(id) FROM backup_jobs), full_backup_id = latest_backup_id',
    );
    expect(await rootOf()).to.equal(api.fleet.repositoryRoot);
    await rename(place('moved'), api.fleet.repositoryRoot);
  });

  it('goes on with its chains at the new path, by the command line, and says so once', async () => {
    const hook = { name: 'moves', url: 'http://127.0.0.1:1/', events: ['repository.moved'] };
    expect((await api.call('POST', 'webhooks', { body: hook })).status).to.equal(201);
    await rename(api.fleet.repositoryRoot, place('new'));
    const env = { STRATA_DATA_DIR: dataDir, STRATA_URL: url, STRATA_TOKEN: api.tokens.admin };
    const { code, out, err } = await runMain('cli', ['repo', 'adopt', place('new')], env);
    expect(code, err).to.equal(0);
    expect(out).to.equal(`Repository main (${api.fleet.repositoryId}) is at ${place('new')}.\n`);
    expect(await rootOf()).to.equal(place('new'));
    expect(await events()).to.equal(1);
    const again = await adopt(place('new'));
    expect(again.status).to.equal(200);
    fits(Repository, again.body);
    expect(await events()).to.equal(1);
    expect((await backup('incremental')).backup_type).to.equal('incremental');
  });

  it('is taken up at another name of the same directory although that has the marker', async () => {
    await symlink(place('new'), place('link'));
    expect((await adopt(place('link'))).status).to.equal(200);
    expect(await rootOf()).to.equal(place('link'));
  });
});
