import { readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob } from '../../../../src/entities/index.js';
import { recordHolds, reconcileHolds } from '../../../../src/services/protection/holds.js';
import { HOLDS_NAME, readHold } from '../../../../src/services/repository/holdRecords.js';
import { MARKER_NAME } from '../../../../src/services/repository/marker.js';
import { rebuildCatalogue } from '../../../../src/services/rebuild/rebuildCatalogue.js';
import { makeDisk, writeAt } from '../../../helpers/disks.js';
import { isProblem, openApi, type TestApi } from '../../producers/http/support.js';

const UNTIL = '2090-01-01T00:00:00.000Z';
const signal = new AbortController().signal;

describe('Protections', function () {
  this.timeout(60_000);
  let api: TestApi;
  /** Backups of one disk, oldest first. */
  const ids: string[] = [];
  before(async () => {
    api = await openApi();
    api.fleet.work();
    const path = join(api.fleet.sources, 'disk.raw');
    await makeDisk(path, 4 << 20, [[0, 300_000]]);
    for (let n = 0; n < 4; n++) {
      await writeAt(path, n * 70_000, 100);
      const source = { type: 'file', path, format: 'raw' };
      const { body } = await api.call('POST', 'backups', {
        body: { vm_name: 'web', repository_id: 'main', backup_type: 'auto', disks: [{ disk_id: 0, source }] },
      });
      const id = String(body.disk_results[0].backup_id);
      expect(await api.fleet.ended(id)).to.include({ status: 'completed' });
      ids.push(id);
    }
  });
  after(() => api.close());

  const place = () => ({
    ds: api.fleet.suite.ds,
    repository: { id: api.fleet.repositoryId, rootPath: api.fleet.repositoryRoot },
    signal,
  });
  const sql = (text: string, values: unknown[] = []) => api.fleet.suite.ds.query(text, values);
  const untilOf = async (id: string) =>
    (await api.fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id })).protectedUntil;
  const recordOf = (id: string) => readHold(api.fleet.repositoryRoot, id);
  const protect = (id: string, until: string | null) =>
    api.call('PATCH', `backups/${id}`, { body: { protected_until: until } });
  const forget = async () => {
    await sql('UPDATE backup_chains SET latest_backup_id = NULL, full_backup_id = NULL');
    await sql("UPDATE backup_jobs SET parent_backup_id = NULL, successor_of = NULL, status = 'failed'");
    for (const table of ['job_steps', 'maintenance_jobs', 'backup_jobs', 'restore_points', 'backup_chains'])
      await sql(`DELETE FROM ${table}`);
  };

  it('outlive the catalogue: a rebuild knows them, and what they hold is not removed', async () => {
    const [first = '', second = ''] = ids;
    await protect(first, UNTIL);
    expect(await recordOf(first)).to.deep.equal(new Date(UNTIL));
    await forget();
    const { inserted, problems } = await rebuildCatalogue({ ...place(), dryRun: false });
    expect([inserted, problems]).to.deep.equal([ids.length, []]);
    expect(await untilOf(first)).to.deep.equal(new Date(UNTIL));
    expect(await untilOf(second)).to.equal(null);
    isProblem(await api.call('DELETE', `backups/${first}`), 409, 'backup_in_use');
  });

  it('hold where the catalogue is an older copy that does not know them, also in the job that removes', async () => {
    const [first = ''] = ids;
    await sql('UPDATE backup_jobs SET protected_until = NULL');
    const { body } = await api.call('DELETE', `backups/${first}`);
    expect(await api.fleet.ended(body.chains[0].job.job_id)).to.include({ error_code: 'backup_in_use' });
    expect(await untilOf(first)).to.deep.equal(new Date(UNTIL));
    await sql('UPDATE backup_jobs SET protected_until = NULL');
    expect(await reconcileHolds(place(), new Date())).to.deep.equal({ adopted: [first], invalid: [] });
    expect(await untilOf(first)).to.deep.equal(new Date(UNTIL));
  });

  it('are written again where the repository has lost the record, and told where it cannot be read', async () => {
    const [first = '', second = ''] = ids;
    const record = (id: string) => join(api.fleet.repositoryRoot, HOLDS_NAME, `${id}.json`);
    await rename(record(first), join(api.fleet.suite.tempDir, 'record'));
    await reconcileHolds(place(), new Date());
    expect(await recordOf(first)).to.deep.equal(new Date(UNTIL));
    await writeFile(record(second), '{"format":"strata-hold"}');
    const file = join(HOLDS_NAME, `${second}.json`);
    expect((await reconcileHolds(place(), new Date())).invalid).to.deep.equal([file]);
    const { problems } = await rebuildCatalogue({ ...place(), dryRun: true });
    expect(problems).to.deep.equal([{ file, backup_id: null, severity: 'warning', reason: 'hold_invalid' }]);
    await protect(second, UNTIL);
    expect(await recordOf(second)).to.deep.equal(new Date(UNTIL));
  });

  it('can be changed while the repository is away; it is told when it is back', async () => {
    const [first = '', second = '', third = ''] = ids;
    const marker = join(api.fleet.repositoryRoot, MARKER_NAME);
    const away = join(api.fleet.suite.tempDir, 'marker');
    await rename(marker, away);
    expect((await protect(first, null)).status).to.equal(200);
    expect((await protect(third, UNTIL)).body.protected_until).to.equal(UNTIL);
    expect(await recordOf(third)).to.equal(undefined);
    await rename(away, marker);
    await recordHolds(place());
    expect(await recordOf(first)).to.equal(undefined);
    expect(await recordOf(third)).to.deep.equal(new Date(UNTIL));
    // What was lifted is not taken for held: its record is gone with it.
    expect((await reconcileHolds(place(), new Date())).adopted).to.deep.equal([]);
    expect(await untilOf(first)).to.equal(null);
    for (const id of [second, third]) await protect(id, null);
    expect(await readdir(join(api.fleet.repositoryRoot, HOLDS_NAME))).to.deep.equal([]);
  });
});
