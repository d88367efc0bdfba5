import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Job, JobAccepted, RebuildReport, ReconcileReport } from '../../../../src/contract/index.js';
import { BackupJob, MaintenanceJob } from '../../../../src/entities/index.js';
import { acceptBackup } from '../../../../src/producers/accept/index.js';
import { createReconciler } from '../../../../src/producers/keeper/reconcile.js';
import { makeDisk } from '../../../helpers/disks.js';
import { fits, isProblem, openApi, type TestApi } from '../../producers/http/support.js';
import { signal, writeOld } from './support.js';

describe('Reconciling and rebuilding by the API and the keeper', () => {
  let api: TestApi;
  let directory: string;
  let image: string;
  let base: string;
  before(async () => {
    api = await openApi();
    const { fleet } = api;
    fleet.work();
    const path = join(fleet.sources, 'disk.raw');
    await makeDisk(path, 1024 * 1024, [[0, 1000]]);
    const { disk_results } = await acceptBackup(fleet.accept, {
      vm_name: 'web01',
      repository_id: 'main',
      backup_type: 'full',
      disks: [{ disk_id: 0, source: { type: 'file', path, format: 'raw' } }],
    });
    const id = disk_results[0]?.backup_id ?? '';
    expect((await fleet.ended(id)).status).to.equal('completed');
    const row = await fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
    image = join(fleet.repositoryRoot, row.repositoryPath ?? '');
    directory = join(image, '..');
    base = `repositories/${fleet.repositoryId}`;
  });
  after(() => api.close());

  const jobs = () => api.fleet.suite.ds.getRepository(MaintenanceJob).find({ order: { seq: 'ASC' } });

  it('prints the plan of a dry run and does nothing', async () => {
    await writeOld(join(directory, 'stray'));
    const { status, body } = await api.call('POST', `${base}/reconcile`, {
      body: { dry_run: true },
    });
    expect(status).to.equal(200);
    fits(ReconcileReport, body);
    expect(body.actions.map((each: { reason: string }) => each.reason)).to.deep.equal(['unknown_file']);
    expect(body).to.deep.include({ dry_run: true, scanned: { directories: 1, files: 4 }, jobs: [] });
    expect(body.counts.quarantine).to.equal(1);
    expect(await jobs()).to.deep.equal([]);
    expect(await readdir(directory)).to.include('stray');
  });

  it('accepts a job for the chain, once for one key, and the job sets the file aside', async () => {
    const headers = { 'idempotency-key': 'once' };
    const first = await api.call('POST', `${base}/reconcile`, { body: {}, headers });
    expect(first.status, first.text).to.equal(202);
    fits(ReconcileReport, first.body);
    expect(first.body.jobs).to.have.length(1);
    const jobId = first.body.jobs[0].job_id;
    expect((await api.fleet.ended(jobId)).status).to.equal('completed');
    expect(await readdir(directory)).not.to.include('stray');
    const again = await api.call('POST', `${base}/reconcile`, { body: {}, headers });
    expect(again.body).to.deep.equal(first.body);
    const job = await api.call('GET', `jobs/${jobId}`);
    expect(job.body).to.include({ kind: 'maintenance', type: 'reconcile', status: 'completed' });
    expect(job.body.result.quarantined).to.have.length(1);
  });

  it('makes no second job for a chain that waits for its first', async () => {
    await api.fleet.stopWorking();
    await writeOld(join(directory, 'stray'));
    const ask = async () => (await api.call('POST', `${base}/reconcile`, { body: {} })).body.jobs;
    const first = await ask();
    expect(first).to.have.length(1);
    expect(await ask()).to.deep.equal(first);
    api.fleet.work();
    await api.fleet.ended(first[0].job_id);
    expect(await ask()).to.deep.equal([]);
  });

  it('is begun by the keeper at its start, and not again before its time', async () => {
    const count = (await jobs()).length;
    await writeOld(join(directory, 'stray'));
    const reconciler = createReconciler(api.fleet.accept, { everyMs: 3_600_000, signal });
    await reconciler.run();
    await reconciler.settled();
    const made = (await jobs()).slice(count);
    expect(made).to.have.length(1);
    await api.fleet.ended(made[0]?.id ?? '');
    expect(await readdir(directory)).not.to.include('stray');
    await writeOld(join(directory, 'later'));
    await reconciler.run();
    await reconciler.settled();
    expect(await jobs()).to.have.length(count + 1);
  });

  it('takes a lost backup in again, and marks it when its image is gone', async () => {
    const { ds } = api.fleet.suite;
    await ds.query('UPDATE backup_chains SET latest_backup_id = NULL, full_backup_id = NULL');
    await ds.query('DELETE FROM backup_jobs');
    const rebuild = async (body: object) => {
      const accepted = await api.call('POST', `${base}/rebuild`, { body });
      expect(accepted.status, accepted.text).to.equal(202);
      fits(JobAccepted, accepted.body);
      const { job_id } = accepted.body;
      expect(accepted.headers['location']).to.equal(`/api/v1/jobs/${job_id}`);
      expect((await api.fleet.ended(job_id)).status).to.equal('completed');
      const job = await api.call('GET', `jobs/${job_id}`);
      fits(Job, job.body);
      fits(RebuildReport, job.body.result);
      return job.body.result as RebuildReport;
    };
    expect(await rebuild({ dry_run: true })).to.include({ inserted: 1, dry_run: true });
    expect(await ds.getRepository(BackupJob).count()).to.equal(0);
    expect(await rebuild({})).to.include({ inserted: 1, refused: 0, dry_run: false });
    await rm(image);
    const { body } = await api.call('POST', `${base}/reconcile`, { body: {} });
    expect(body.counts.mark_damaged).to.equal(1);
    await api.fleet.ended(body.jobs[0].job_id);
    const [row] = await ds.getRepository(BackupJob).find();
    expect(row?.health).to.equal('damaged');
  });

  it('is refused to those who may not, for a repository that is not, and for one that is not mounted', async () => {
    isProblem(await api.call('POST', `${base}/reconcile`, { as: 'operator', body: {} }), 403, 'forbidden');
    isProblem(await api.call('POST', `${base}/rebuild`, { as: 'operator', body: {} }), 403, 'forbidden');
    isProblem(await api.call('POST', 'repositories/repo_0/reconcile', { body: {} }), 404, 'not_found');
    isProblem(await api.call('POST', 'repositories/repo_0/rebuild', { body: {} }), 404, 'not_found');
    isProblem(await api.call('POST', `${base}/rebuild`, { body: { dryRun: true } }), 400, 'invalid_request');
    await api.fleet.stopWorking();
    await rm(join(api.fleet.repositoryRoot, '.strata-repository.json'));
    isProblem(await api.call('POST', `${base}/reconcile`, { body: {} }), 503, 'repository_unavailable');
  });
});
