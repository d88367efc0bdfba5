import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Repository } from '../../../../src/entities/index.js';
import { registerRepository } from '../../../../src/producers/accept/index.js';
import { IMMUTABILITY_NAME, readImmutableDays } from '../../../../src/services/repository/immutability.js';
import { adoptImmutableDays, recordImmutableDays } from '../../../../src/services/protection/immutability.js';
import { MARKER_NAME } from '../../../../src/services/repository/marker.js';
import { rebuildCatalogue } from '../../../../src/services/rebuild/rebuildCatalogue.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { makeDisk, writeAt } from '../../../helpers/disks.js';
import { isProblem, openApi, type TestApi } from '../../producers/http/support.js';

const signal = new AbortController().signal;
const TABLES = [
  'job_steps',
  'maintenance_jobs',
  'backup_jobs',
  'restore_points',
  'backup_chains',
  'vm_disks',
  'vm_contexts',
  'repositories',
];

describe('The immutable days of a repository', function () {
  this.timeout(60_000);
  let api: TestApi;
  let id = '';
  let root = '';
  /** Of one disk, oldest first. */
  const backups: string[] = [];
  before(async () => {
    api = await openApi();
    api.fleet.work();
    id = api.fleet.repositoryId;
    root = api.fleet.repositoryRoot;
    const path = join(api.fleet.sources, 'disk.raw');
    await makeDisk(path, 4 << 20, [[0, 300_000]]);
    for (let n = 0; n < 2; n++) {
      await writeAt(path, n * 70_000, 100);
      const source = { type: 'file', path, format: 'raw' };
      const { body } = await api.call('POST', 'backups', {
        body: { vm_name: 'web', repository_id: 'main', backup_type: 'auto', disks: [{ disk_id: 0, source }] },
      });
      backups.push(String(body.disk_results[0].backup_id));
      expect(await api.fleet.ended(backups[n] ?? '')).to.include({ status: 'completed' });
    }
  });
  after(() => api.close());

  const sql = (text: string, values: unknown[] = []) => api.fleet.suite.ds.query(text, values);
  const place = () => ({ ds: api.fleet.suite.ds, repository: { id, rootPath: root }, signal });
  const inCatalogue = async () =>
    (await api.fleet.suite.ds.getRepository(Repository).findOneByOrFail({ id })).immutableDays;
  const inRepository = () => readImmutableDays(root, id);
  const change = (days: number, more = {}) =>
    api.call('PATCH', `repositories/${id}`, { body: { immutable_days: days, ...more } });
  const adopt = (days?: number) =>
    registerRepository(api.fleet.accept, {
      name: 'main',
      type: 'local',
      root_path: root,
      adopt: true,
      ...(days === undefined ? {} : { immutable_days: days }),
    });
  const loseDatabase = async () => {
    await sql('UPDATE backup_chains SET latest_backup_id = NULL, full_backup_id = NULL');
    await sql("UPDATE backup_jobs SET parent_backup_id = NULL, successor_of = NULL, status = 'failed'");
    for (const table of TABLES) await sql(`DELETE FROM ${table}`);
  };

  it('outlive the catalogue: taken over and rebuilt, a young point is still not removed', async () => {
    expect((await change(9)).body).to.include({ immutable_days: 9 });
    expect(await inRepository()).to.equal(9);
    await loseDatabase();
    expect(await adopt()).to.include({ id, immutableDays: 9 });
    const { inserted, problems } = await rebuildCatalogue({ ...place(), dryRun: false });
    expect([inserted, problems]).to.deep.equal([2, []]);
    for (const backup of backups)
      isProblem(await api.call('DELETE', `backups/${backup}`), 409, 'backup_in_use');
  });

  it('hold where the catalogue is an older copy, also in the job that removes', async () => {
    const older = () => sql('UPDATE repositories SET immutable_days = 0');
    await older();
    const { body } = await api.call('DELETE', `backups/${backups[0]}`);
    expect(await api.fleet.ended(body.chains[0].job.job_id)).to.include({ error_code: 'backup_in_use' });
    expect(await inCatalogue()).to.equal(9);
    await older();
    expect(await adoptImmutableDays(place())).to.equal(9);
    await older();
    await rebuildCatalogue({ ...place(), dryRun: false });
    expect(await inCatalogue()).to.equal(9);
    expect(await adoptImmutableDays(place())).to.equal(undefined);
  });

  it('are changed in both places or in none', async () => {
    await api.call('POST', 'repositories', {
      body: { name: 'other', type: 'local', root_path: join(api.fleet.suite.tempDir, 'other') },
    });
    isProblem(await change(30, { name: 'other' }), 409, 'name_taken');
    expect([await inCatalogue(), await inRepository()]).to.deep.equal([9, 9]);
    const [marker, away] = [join(root, MARKER_NAME), join(api.fleet.suite.tempDir, 'marker')];
    await rename(marker, away);
    for (const days of [3, 30]) isProblem(await change(days), 503, 'repository_unavailable');
    expect(
      (await api.call('PATCH', `repositories/${id}`, { body: { max_parallel_jobs: 3 } })).status,
    ).to.equal(200);
    await rename(away, marker);
    expect([await inCatalogue(), await inRepository()]).to.deep.equal([9, 9]);
    for (const days of [30, 4]) {
      await change(days);
      expect([await inCatalogue(), await inRepository()]).to.deep.equal([days, days]);
    }
  });

  it('are written again where the record is lost or malformed, and asked for where only that is left', async () => {
    const record = join(root, IMMUTABILITY_NAME);
    await rm(record);
    await recordImmutableDays(place());
    expect(await inRepository()).to.equal(4);
    await writeFile(record, '{"format":"strata-immutability","immutable_days":0}');
    const { problems } = await rebuildCatalogue({ ...place(), dryRun: true });
    expect(problems.map(({ reason, file }) => [reason, file])).to.deep.equal([
      ['immutability_invalid', IMMUTABILITY_NAME],
    ]);
    await loseDatabase();
    expect(await codeOf(adopt())).to.equal('invalid_request');
    expect(await adopt(5)).to.include({ immutableDays: 5 });
    expect(await inRepository()).to.equal(5);
  });

  it('of another repository are neither taken over nor written over', async () => {
    const asAnother = { name: 'thief', type: 'local', root_path: `${root}/`, immutable_days: 1 } as const;
    await sql('DELETE FROM repositories');
    expect(await codeOf(registerRepository(api.fleet.accept, asAnother))).to.equal(
      'repository_marker_foreign',
    );
    expect(await inRepository()).to.equal(5);
    expect(await readImmutableDays(root, 'repo_other')).to.equal(undefined);
  });
});
