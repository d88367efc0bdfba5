import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { ChainPage, Job, type JobAccepted, RebuildReport } from '../../../../src/contract/index.js';
import { BackupChain, MaintenanceJob } from '../../../../src/entities/index.js';
import { acceptBackup } from '../../../../src/producers/accept/index.js';
import { MARKER_NAME } from '../../../../src/services/repository/marker.js';
import { hold } from '../../../helpers/chainJobs.js';
import { makeDisk } from '../../../helpers/disks.js';
import { fits, isProblem, openApi, type TestApi } from '../../producers/http/support.js';

describe('A rebuild of the catalogue as a job', () => {
  let api: TestApi;
  let base = '';
  beforeEach(async () => {
    api = await openApi();
    base = `repositories/${api.fleet.repositoryId}`;
  });
  afterEach(() => api.close());

  const ask = async (body: object = {}, headers: Record<string, string> = {}): Promise<JobAccepted> => {
    const answer = await api.call('POST', `${base}/rebuild`, { body, headers });
    expect(answer.status, answer.text).to.equal(202);
    return answer.body as JobAccepted;
  };
  const readJob = async (id: string): Promise<Job> => {
    const { body } = await api.call('GET', `jobs/${id}`);
    fits(Job, body);
    return body as Job;
  };
  const backUp = async () => {
    const path = join(api.fleet.sources, 'disk.raw');
    await makeDisk(path, 1024 * 1024, [[0, 1000]]);
    const { disk_results } = await acceptBackup(api.fleet.accept, {
      vm_name: 'web01',
      repository_id: 'main',
      backup_type: 'full',
      disks: [{ disk_id: 0, source: { type: 'file', path, format: 'raw' } }],
    });
    expect((await api.fleet.ended(disk_results[0]?.backup_id ?? '')).status).to.equal('completed');
  };

  it('runs in a repository without any chain, belongs to none, and is seen in no list of chains', async () => {
    const { job_id } = await ask();
    api.fleet.work();
    expect((await api.fleet.ended(job_id)).status).to.equal('completed');
    const job = await readJob(job_id);
    expect(job).to.include({
      kind: 'maintenance',
      type: 'rebuild',
      chain_id: null,
      vm_context_id: null,
      vm_name: null,
      disk_id: null,
      repository_id: api.fleet.repositoryId,
    });
    fits(RebuildReport, job.result);
    expect(job.result).to.deep.include({ inserted: 0, existing: 0, chains: [], problems: [] });
    expect((await api.read('chains', ChainPage)).items).to.deep.equal([]);
    expect((await api.read(`chains?repository_id=${api.fleet.repositoryId}`, ChainPage)).items).to.deep.equal(
      [],
    );
  });

  it('is the answer to a second request while it is open; a dry run waits behind it for its turn', async () => {
    const first = await ask();
    expect(first.status).to.equal('released');
    expect(await ask()).to.deep.equal(first);
    const dry = await ask({ dry_run: true });
    expect(dry).to.include({ status: 'queued' });
    expect((await readJob(dry.job_id)).waiting_for).to.include({
      reason: 'job',
      job_id: first.job_id,
      detail: `Job ${first.job_id} of its repository, which is next.`,
    });
    api.fleet.work();
    for (const { job_id } of [first, dry]) {
      expect((await api.fleet.ended(job_id)).status).to.equal('completed');
      expect((await readJob(job_id)).result).to.include({ dry_run: job_id === dry.job_id });
    }
    expect((await ask()).job_id).not.to.equal(first.job_id);
  });

  it('is accepted once by many who ask at the same moment, and once for one Idempotency-Key', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => ask()));
    expect(new Set(answers.map(({ job_id }) => job_id)).size).to.equal(1);
    api.fleet.work();
    await api.fleet.ended(answers[0]?.job_id ?? '');
    const keyed = await ask({}, { 'idempotency-key': 'once' });
    await api.fleet.ended(keyed.job_id);
    expect(await ask({}, { 'idempotency-key': 'once' })).to.deep.equal(keyed);
    expect(await api.fleet.suite.ds.getRepository(MaintenanceJob).count()).to.equal(2);
  });

  it('waits while the repository is not mounted, saying so, and can be cancelled', async () => {
    const marker = join(api.fleet.repositoryRoot, MARKER_NAME);
    await rename(marker, `${marker}.away`);
    const { job_id } = await ask();
    api.fleet.work();
    let job = await readJob(job_id);
    for (
      const until = Date.now() + 20_000;
      job.error === null && Date.now() < until;
      job = await readJob(job_id)
    )
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(job.error?.code).to.equal('repository_unavailable');
    expect(job.waiting_for).to.include({ reason: 'condition' });
    const cancelled = await api.call('POST', `jobs/${job_id}/cancel`, {});
    expect(cancelled.body).to.include({ status: 'cancelled', accepted: true });
    await rename(`${marker}.away`, marker);
    expect((await api.fleet.ended((await ask()).job_id)).status).to.equal('completed');
  });

  it('leaves the chains to others: a backup is taken while a rebuild runs', async () => {
    const { job_id } = await ask();
    await hold(api.fleet.suite.ds, 'maintenance', job_id);
    api.fleet.work();
    await backUp();
    expect(await readJob(job_id)).to.include({ status: 'running', waiting_for: null });
  });

  it('is given to another worker by the keeper when its own has died', async () => {
    const { job_id } = await ask();
    const { ds } = api.fleet.suite;
    await hold(ds, 'maintenance', job_id);
    await ds.query('UPDATE backup_chains SET lease_until = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND');
    await api.fleet.sweep();
    api.fleet.work();
    expect((await api.fleet.ended(job_id)).status).to.equal('completed');
  });

  it('keeps its repository from being removed while it is open, and goes with it afterwards', async () => {
    const { job_id } = await ask();
    const refused = await api.call('DELETE', base);
    isProblem(refused, 409, 'repository_busy');
    expect(refused.body.detail).to.contain(job_id);
    api.fleet.work();
    await api.fleet.ended(job_id);
    expect((await api.call('DELETE', base)).status).to.equal(204);
    const { ds } = api.fleet.suite;
    expect(await ds.getRepository(MaintenanceJob).count()).to.equal(0);
    expect(await ds.getRepository(BackupChain).count()).to.equal(0);
  });
});
