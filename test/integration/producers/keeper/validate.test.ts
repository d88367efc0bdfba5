import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Repository, RepositoryValidation } from '../../../../src/contract/index.js';
import { MaintenanceJob } from '../../../../src/entities/index.js';
import { validateDue } from '../../../../src/producers/keeper/validate.js';
import { fits, isProblem, openApi, type TestApi } from '../http/support.js';

const LEAST_BUDGET = 235_929_600;
const SIZE = 128 * 1024;

describe('The keeper, by the cadence of a repository,', function () {
  this.timeout(60_000);
  let api: TestApi;
  const chains: string[] = [];
  before(async () => {
    api = await openApi();
    api.fleet.work();
    for (const name of ['a', 'b', 'c']) chains.push(await backUp(name));
  });
  beforeEach(async () => {
    await sql('DELETE FROM maintenance_jobs');
    await sql('UPDATE repositories SET quick_next_at = NULL, deep_next_at = NULL');
    await sql('UPDATE backup_chains SET last_validated_at = NULL, deep_validated_at = NULL');
    await sql('UPDATE backup_jobs SET completed_at = UTC_TIMESTAMP(3)');
    await set({ validate_quick_hours: 0, validate_deep_days: 0, validate_bytes_per_hour: null });
  });
  after(() => api.close());

  const sql = (text: string, values: unknown[] = []) => api.fleet.suite.ds.query<unknown>(text, values);
  const backUp = async (vm_name: string): Promise<string> => {
    const path = join(api.fleet.sources, `${vm_name}.raw`);
    await writeFile(path, randomBytes(SIZE));
    const disks = [{ disk_id: 0, source: { type: 'file', path, format: 'raw' } }];
    const body = { vm_name, repository_id: 'main', backup_type: 'full', disks };
    const { body: answer } = await api.call('POST', 'backups', { body });
    const id = String(answer.disk_results[0].backup_id);
    await api.fleet.ended(id);
    return (await api.call('GET', `backups/${id}`)).body.chain_id;
  };
  const set = async (body: object): Promise<void> => {
    const answer = await api.call('PATCH', `repositories/${api.fleet.repositoryId}`, { body });
    expect(answer.status, answer.text).to.equal(200);
    fits(Repository, answer.body);
    expect(answer.body).to.include(body);
  };
  const age = (days: number) =>
    sql('UPDATE backup_jobs SET completed_at = completed_at - INTERVAL ? DAY', [days]);
  const keeper = () => ({ ...api.fleet.accept, metrics: api.fleet.worker.metrics });
  const round = () => validateDue(keeper(), new AbortController().signal);
  const jobs = (): Promise<MaintenanceJob[]> =>
    api.fleet.suite.ds.getRepository(MaintenanceJob).find({ order: { createdAt: 'ASC', id: 'ASC' } });
  const end = async (): Promise<MaintenanceJob[]> => {
    for (const { id } of await jobs()) expect((await api.fleet.ended(id)).status).to.equal('completed');
    return jobs();
  };
  const report = (): Promise<RepositoryValidation> =>
    api.read(`repositories/${api.fleet.repositoryId}/validation`, RepositoryValidation);

  it('begins nothing for what is new, or switched off', async () => {
    await age(400);
    await round();
    expect(await jobs()).to.deep.equal([]);
    expect(await report()).to.deep.include({
      quick: null,
      deep: null,
      chains: { ok: 3, suspect: 0, damaged: 0 },
    });
    await sql('UPDATE backup_jobs SET completed_at = UTC_TIMESTAMP(3)');
    await set({ validate_quick_hours: 24, validate_deep_days: 30 });
    await round();
    expect(await jobs()).to.deep.equal([]);
    expect((await report()).quick?.overdue_chains).to.equal(0);
  });

  it('validates what is due, one after the other, and each once, however many keepers look', async () => {
    await set({ validate_quick_hours: 24 });
    await age(2);
    expect((await report()).quick).to.include({ overdue_chains: 3 });
    await Promise.all([round(), round(), round()]);
    const [first, ...others] = await jobs();
    expect(others).to.deep.equal([]);
    expect(first).to.deep.include({ type: 'validate', params: { level: 'quick', scheduled: true } });
    expect(first?.priority).to.be.greaterThan(1000);
    await round();
    expect(await jobs()).to.have.length(1);
    for (let more = 0; more < 2; more++) {
      await sql('UPDATE repositories SET quick_next_at = UTC_TIMESTAMP(3)');
      await end();
      await round();
    }
    expect((await end()).map(({ chainId }) => chainId)).to.have.members(chains);
    await sql('UPDATE repositories SET quick_next_at = NULL');
    await round();
    expect(await jobs()).to.have.length(3);
    expect((await report()).quick).to.include({ overdue_chains: 0 });
  });

  it('reads one chain at a time, and within the budget of an hour', async () => {
    await set({ validate_deep_days: 30, validate_bytes_per_hour: LEAST_BUDGET });
    await age(31);
    const metrics = async () => (await api.fleet.worker.metrics.registry.metrics()).split('\n');
    await round();
    expect(await metrics()).to.include(
      'strata_validation_overdue_chains{repository="main",level="deep",role="test"} 3',
    );
    await sql('UPDATE repositories SET deep_next_at = NULL');
    await round();
    const [job, ...others] = await end();
    expect(others, 'while one is open').to.deep.equal([]);
    expect(job?.maxBytesPerSecond).to.equal(65_536);
    // 128 KiB at 64 KiB a second, less the burst that a limit allows.
    const took = (job?.completedAt?.getTime() ?? 0) - (job?.startedAt?.getTime() ?? 0);
    expect(took).to.be.greaterThan(1_500);
    expect((await report()).deep).to.include({ overdue_chains: 2 });
    const rows = await api.fleet.suite.ds.query<{ n: string }[]>(
      'SELECT COUNT(*) AS n FROM backup_chains WHERE deep_validated_at IS NOT NULL AND last_validated_at IS NOT NULL',
    );
    expect(Number(rows[0]?.n)).to.equal(1);
    // The pause that is owed is in the database: a keeper that starts anew keeps it.
    await sql('UPDATE repositories SET deep_next_at = UTC_TIMESTAMP(3) + INTERVAL 1 HOUR');
    await round();
    expect(await jobs()).to.have.length(1);
    await set({ validate_deep_days: 20 });
    await round();
    expect(await jobs(), 'after a change of the cadence').to.have.length(2);
    await end();
  });

  it('leaves a chain alone that has such a validation open', async () => {
    await set({ validate_quick_hours: 1 });
    await age(2);
    await api.fleet.stopWorking();
    const path = `repositories/${api.fleet.repositoryId}/validate`;
    await api.call('POST', path, { body: { level: 'deep' } });
    await round();
    expect(await jobs()).to.have.length(3);
    api.fleet.work();
    await end();
  });

  it('is told no nonsense', async () => {
    const path = `repositories/${api.fleet.repositoryId}`;
    for (const body of [
      { validate_quick_hours: -1 },
      { validate_deep_days: 1.5 },
      { validate_deep_days: null },
      { validate_bytes_per_hour: LEAST_BUDGET - 1 },
    ]) {
      const fields = isProblem(await api.call('PATCH', path, { body }), 400, 'invalid_request');
      expect(fields).to.deep.equal(Object.keys(body));
    }
  });
});
