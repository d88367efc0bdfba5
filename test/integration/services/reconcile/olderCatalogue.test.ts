import { copyFile, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import { BackupJob, MaintenanceJob } from '../../../../src/entities/index.js';
import { acceptValidation } from '../../../../src/producers/accept/index.js';
import { createQuarantineKeeper } from '../../../../src/producers/keeper/quarantine.js';
import { createReconciler } from '../../../../src/producers/keeper/reconcile.js';
import { compareImages } from '../../../../src/qcow2/index.js';
import { sidecarsOf } from '../../../../src/services/repository/layout.js';
import { makeDisk, writeAt } from '../../../helpers/disks.js';
import { ageFiles, dumpCatalogue } from '../../../helpers/olderCatalogue.js';
import { runMain } from '../../cli/system.js';
import { openApi, type TestApi } from '../../producers/http/support.js';
import { signal } from './support.js';

const SIZE = 2 * 1024 * 1024;
const DAY_MS = 86_400_000;

type Damage = 'removed' | 'swapped';

for (const damage of ['removed', 'swapped'] satisfies Damage[]) {
  describe(`A catalogue from before four increments, with the manifests of two of them ${damage}`, function () {
    this.timeout(120_000);
    let api: TestApi;
    let url = '';
    let dataDir = '';
    let directory = '';
    /** Images, with what the disk held. */
    const points: { image: string; saved: string }[] = [];

    before(async () => {
      api = await openApi();
      url = `${await api.app.listen({ host: '127.0.0.1', port: 0 })}/api/v1`;
      dataDir = await mkdtemp(join(tmpdir(), 'cli-'));
      api.fleet.work();
      await makeDisk(join(api.fleet.sources, 'web.raw'), SIZE, [[0, 300_000]]);
      await backup();
      const putBack = await dumpCatalogue(api.fleet.suite.ds);
      for (let n = 0; n < 4; n++) await backup();
      await putBack();
      const [, , second, third] = points.map(({ image }) => sidecarsOf(image).manifest);
      if (damage === 'removed') for (const path of [second, third]) await rm(path ?? '');
      else {
        await rename(second ?? '', join(dataDir, 'second'));
        await rename(third ?? '', second ?? '');
        await copyFile(join(dataDir, 'second'), third ?? '');
      }
      await ageFiles(directory);
    });
    after(async () => {
      points.length = 0;
      await api.close();
      await rm(dataDir, { recursive: true, force: true });
    });

    const backup = async () => {
      const path = join(api.fleet.sources, 'web.raw');
      await writeAt(path, points.length * 100_000, 70_000);
      const { body } = await api.call('POST', 'backups', {
        body: {
          vm_name: 'web',
          repository_id: 'main',
          backup_type: points.length === 0 ? 'full' : 'incremental',
          disks: [{ disk_id: 0, source: { type: 'file', path, format: 'raw' } }],
        },
      });
      const id = body.disk_results[0].backup_id;
      const end = await api.fleet.ended(id);
      expect(end.status, end.error_detail ?? '').to.equal('completed');
      const row = await api.fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
      const image = join(api.fleet.repositoryRoot, row.repositoryPath ?? '');
      directory = join(image, '..');
      const saved = join(api.fleet.suite.tempDir, `${points.length}.saved`);
      await copyFile(path, saved);
      points.push({ image, saved });
    };
    const backups = () =>
      api.fleet.suite.ds
        .getRepository(BackupJob)
        .find({ where: { status: 'completed' }, order: { seq: 'ASC' } });
    const strata = async (...args: string[]) => {
      const env = { STRATA_DATA_DIR: dataDir, STRATA_URL: url, STRATA_TOKEN: api.tokens.admin };
      const { code, out, err } = await runMain('cli', args, env);
      expect(code, err).to.equal(0);
      return out;
    };
    const restoresAll = async () => {
      for (const { image, saved } of points) {
        const as = { type: 'file' as const, path: image, format: 'qcow2' as const };
        const { identical } = await compareImages(as, { type: 'file', path: saved, format: 'raw' });
        expect(identical, basename(image)).to.equal(true);
      }
    };
    const keep = async () => {
      const reconciler = createReconciler(api.fleet.accept, { everyMs: 1, signal });
      await reconciler.run();
      await reconciler.settled();
      const jobs = await api.fleet.suite.ds.query<{ id: string }[]>(
        "SELECT id FROM maintenance_jobs WHERE type = 'reconcile' AND status IN ('queued', 'released', 'running')",
      );
      for (const { id } of jobs) expect((await api.fleet.ended(id)).status).to.equal('completed');
    };
    const monthsLater = async () => {
      const now = () => new Date(Date.now() + 100 * DAY_MS);
      const deps = { ...api.fleet.accept, clock: { ...api.fleet.accept.clock, now } };
      const keeper = createQuarantineKeeper(deps, { days: 30, signal });
      await keeper.run();
      await keeper.settled();
    };

    it('is told of before anything is done: qemu-img restores them, and no age removes them', async () => {
      const said = await strata('repo', 'reconcile', 'main', '--dry-run');
      expect(said).to.match(
        /restorable with qemu-img, not in the catalogue +\S+ \S+ in 10 files|in \d+ files/,
      );
      expect(said).to.contain('restorable');
      expect(said).not.to.match(/^quarantine/m);
      expect(await strata('space', 'main')).to.match(
        /restorable with qemu-img, not in the catalogue +\S+ \S+ in \d+ files/,
      );
    });

    it('costs no restore point, however often the keeper compares and however long it waits', async () => {
      await keep();
      await restoresAll();
      await keep();
      await monthsLater();
      await restoresAll();
      expect((await readdir(directory)).filter((name) => name.endsWith('.qcow2'))).to.have.length(5);
    });

    it('is completed by a rebuild from what headers, lengths and indexes prove, and goes on with an increment', async () => {
      const dryRun = await strata('repo', 'rebuild', 'main', '--dry-run');
      const reason = damage === 'removed' ? 'manifest_rebuilt' : 'manifest_elsewhere';
      expect(dryRun.match(new RegExp(`^warning +${reason} `, 'gm')), dryRun).to.have.length(2);
      expect(dryRun).not.to.contain('refused ');
      await strata('repo', 'rebuild', 'main');
      const rows = await backups();
      expect(rows.map(({ health }) => health)).to.deep.equal(
        damage === 'removed' ? ['ok', 'ok', 'suspect', 'suspect', 'suspect'] : ['ok', 'ok', 'ok', 'ok', 'ok'],
      );
      await keep();
      for (const { image } of points) {
        const manifest = await readFile(sidecarsOf(image).manifest, 'utf8');
        expect(manifest).to.contain(`"file": "${basename(image)}"`);
      }
      const { chainId } = rows[0] ?? { chainId: '' };
      const { job_id } = await acceptValidation(api.fleet.accept, { chainId, level: 'deep' });
      await api.fleet.ended(job_id);
      const job = await api.fleet.suite.ds.getRepository(MaintenanceJob).findOneByOrFail({ id: job_id });
      expect(job.result, JSON.stringify(job.result)).to.deep.include({ healthy: true, affected: [] });
      await backup();
      expect((await backups()).map(({ backupType }) => backupType)).to.deep.equal([
        'full',
        ...Array.from({ length: 5 }, () => 'incremental'),
      ]);
      await restoresAll();
    });
  });
}
