import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { CancelResult, Job } from '../../../../src/contract/index.js';
import { JOB_TABLES, kindOfJob } from '../../../../src/db/job/kinds.js';
import { changeRepository } from '../../../../src/db/repository/repositories.js';
import { abortReason } from '../../../../src/shared/abort.js';
import { makeDisk } from '../../../helpers/disks.js';
import { timeUntil, toolsOf } from '../../../helpers/traces.js';
import { fits, isProblem, openApi, type TestApi } from './support.js';
import { namesBelow } from '../../../helpers/namesBelow.js';

const MIB = 1024 * 1024;
const RENEW_MS = 300;
/** From the request to the end of a running job: the next renewal, and all that has to go. */
const AT_ONCE_MS = RENEW_MS + 2_000;
/** So slow that nothing ends by itself. */
const CRAWL = 64 * 1024;

describe('Cancelling', function () {
  this.timeout(40_000);
  let api: TestApi;
  before(async () => {
    api = await openApi({ lease: { leaseMs: 3_000, renewEveryMs: RENEW_MS } });
    await makeDisk(join(api.fleet.sources, 'disk.raw'), 4 * MIB, [[0, 2 * MIB]]);
  });
  after(() => api.close());
  beforeEach(() => api.fleet.work(4));
  afterEach(async () => {
    await changeRepository(api.fleet.suite.ds, api.fleet.repositoryId, { maxParallelJobs: null });
    await api.fleet.stopWorking(0);
  });

  const backUp = async (vm_name: string, more: object = {}): Promise<string> => {
    const source = { type: 'file', path: join(api.fleet.sources, 'disk.raw'), format: 'raw' };
    const body = {
      vm_name,
      repository_id: 'main',
      backup_type: 'full',
      disks: [{ disk_id: 0, source }],
      ...more,
    };
    const { status, body: answer, text } = await api.call('POST', 'backups', { body });
    expect(status, text).to.equal(202);
    return answer.disk_results[0].backup_id;
  };
  const slow = { max_bytes_per_second: CRAWL };
  const cancel = async (id: string) => {
    const { status, body, text } = await api.call('POST', `jobs/${id}/cancel`, { as: 'operator' });
    expect(status, text).to.equal(200);
    fits(CancelResult, body);
    return body;
  };
  const statusOf = async (id: string): Promise<string> => (await api.read(`jobs/${id}`, Job)).status;
  const until = (id: string, status: string) =>
    timeUntil(
      async () => (await statusOf(id)) === status,
      15_000,
      async () => `${id} is ${status}; it is ${await statusOf(id)}`,
    );
  const completes = async (id: string) =>
    expect(await api.fleet.ended(id)).to.include({ status: 'completed' });
  /** Cancels a job that runs, and demands that all of it is gone in time. */
  const cancelRunning = async (id: string) => {
    const since = performance.now();
    expect(await cancel(id)).to.deep.equal({ id, status: 'running', accepted: true });
    expect(await api.fleet.ended(id)).to.include({ status: 'cancelled', error_code: 'cancelled' });
    expect(performance.now() - since).to.be.below(AT_ONCE_MS);
    // The next job of the chain may be at work by now: only what carries this one's fence counts.
    const { table, chain_id } = {
      table: JOB_TABLES[kindOfJob(id) ?? 'backup'],
      ...(await api.read(`jobs/${id}`, Job)),
    };
    const [row] = await api.fleet.suite.ds.query<{ fence: string; vm: string }[]>(
      `SELECT j.fence, c.vm_context_id AS vm FROM ${table} j JOIN backup_chains c ON c.id = ? WHERE j.id = ?`,
      [chain_id, id],
    );
    const isOwn = (text: string) =>
      text.includes(`.${row?.fence}.partial`) && (text.includes(`${row?.vm}/`) || text.includes(id));
    const tools = (await toolsOf(process.pid)).map(({ argv }) => argv.join(' ')).filter(isOwn);
    expect(tools).to.deep.equal([]);
    const roots = [api.fleet.repositoryRoot, api.fleet.restores];
    const names = (await Promise.all(roots.map((root) => namesBelow(root)))).flat();
    expect(names.filter(isOwn)).to.deep.equal([]);
  };

  it('a queued job takes it out of its chain, and the order of the others stays', async () => {
    const [running, queued, last] = [
      await backUp('queue', slow),
      await backUp('queue'),
      await backUp('queue'),
    ];
    await until(running, 'running');
    expect(await statusOf(queued)).to.equal('queued');
    expect(await cancel(queued)).to.deep.equal({ id: queued, status: 'cancelled', accepted: true });
    expect(await statusOf(last), 'it still waits for the first').to.equal('queued');
    await cancelRunning(running);
    await completes(last);
    expect((await api.read(`jobs/${queued}`, Job)).started_at).to.equal(null);
  });

  it('a released job lets the next one of the chain run', async () => {
    await api.fleet.stopWorking();
    const [released, next] = [await backUp('head'), await backUp('head')];
    expect(await cancel(released)).to.deep.equal({ id: released, status: 'cancelled', accepted: true });
    expect(await statusOf(next)).to.equal('released');
    api.fleet.work();
    await completes(next);
    expect((await api.read(`jobs/${released}`, Job)).started_at).to.equal(null);
  });

  it('a job that waits for a slot of its repository leaves the slot to others', async () => {
    await changeRepository(api.fleet.suite.ds, api.fleet.repositoryId, { maxParallelJobs: 1 });
    const running = await backUp('slot-a', slow);
    await until(running, 'running');
    const parked = await backUp('slot-b');
    const next = await backUp('slot-b');
    const isParked = async () => {
      const sql = 'SELECT parked_at FROM backup_jobs WHERE id = ?';
      const [row] = await api.fleet.suite.ds.query<{ parked_at: Date | null }[]>(sql, [parked]);
      return row?.parked_at !== null;
    };
    await timeUntil(isParked, 10_000, () => 'it is parked');
    expect(await cancel(parked)).to.deep.equal({ id: parked, status: 'cancelled', accepted: true });
    await cancelRunning(running);
    await completes(next);
  });

  it('a running backup ends its tools, removes its files, and lets the next one run', async () => {
    const running = await backUp('web', slow);
    const next = await backUp('web');
    await until(running, 'running');
    await timeUntil(
      async () => (await toolsOf(process.pid)).length > 0,
      10_000,
      () => 'it has a tool',
    );
    await cancelRunning(running);
    await completes(next);
    expect(await cancel(running), 'again').to.deep.equal({
      id: running,
      status: 'cancelled',
      accepted: false,
    });
    isProblem(await api.call('POST', `jobs/${next}/cancel`), 409, 'wrong_state');
  });

  it('a running restore leaves nothing where it would have written', async () => {
    const backup_id = await backUp('db');
    await completes(backup_id);
    const target = { type: 'file', path: join(api.fleet.restores, 'db.raw') };
    const body = { backup_id, target, format: 'raw', ...slow };
    const { body: accepted, text } = await api.call('POST', 'restores', { body });
    const next = await backUp('db');
    await until(accepted.restore_id, 'running');
    expect(text).to.contain('rst_');
    await cancelRunning(accepted.restore_id);
    expect(await readdir(api.fleet.restores)).to.deep.equal([]);
    await completes(next);
  });

  it('maintenance, waiting or running, is as any other job', async () => {
    const backup = await backUp('mnt');
    await completes(backup);
    const { chain_id } = await api.read(`jobs/${backup}`, Job);
    await api.fleet.stopWorking();
    // A validation of this disk takes milliseconds: one that takes for ever stands in for one of a long chain.
    const { maintenance, ...others } = api.fleet.worker.handlers;
    api.fleet.worker.handlers = {
      ...others,
      maintenance: ({ io }) =>
        new Promise((_, reject) => {
          io.signal.addEventListener('abort', () => reject(abortReason(io.signal)));
        }),
    };
    api.fleet.work();
    const validate = async (): Promise<string> =>
      (await api.call('POST', `chains/${chain_id}/validate`, { body: { level: 'quick' } })).body.job_id;
    const [running, waiting] = [await validate(), await validate()];
    await until(running, 'running');
    expect(await cancel(waiting)).to.deep.equal({ id: waiting, status: 'cancelled', accepted: true });
    await cancelRunning(running);
    await api.fleet.stopWorking();
    api.fleet.worker.handlers = { ...others, maintenance };
    api.fleet.work();
    await completes(await validate());
  });

  it('what does not exist, or is no job, or is not allowed, is refused', async () => {
    isProblem(await api.call('POST', 'jobs/mnt_0/cancel'), 404, 'not_found');
    isProblem(await api.call('POST', 'jobs/chn_0/cancel'), 400, 'invalid_request');
    isProblem(await api.call('POST', 'jobs/mnt_0/cancel', { as: 'viewer' }), 403, 'forbidden');
  });
});
