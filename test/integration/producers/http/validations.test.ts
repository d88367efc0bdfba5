import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { type AcceptedValidation, Policy, ValidationsAccepted } from '../../../../src/contract/index.js';
import { runPolicies } from '../../../../src/producers/schedules/runPolicies.js';
import type { ValidationReport } from '../../../../src/services/validation/index.js';
import { fits, isProblem, openApi, type TestApi } from './support.js';

describe('Validations of many chains', function () {
  this.timeout(60_000);
  let api: TestApi;
  const vms: string[] = [];

  before(async () => {
    api = await openApi();
    for (const name of ['one', 'two']) vms.push(await addVm(name));
    // A chain that never got a backup: its source is gone.
    vms.push(await addVm('bare'));
    api.fleet.work();
    await backUp('one');
    await backUp('two');
    await rm(join(api.fleet.sources, 'bare-0.raw'));
    await backUp('bare');
    await api.fleet.stopWorking();
  });
  after(() => api.close());

  const addVm = async (name: string): Promise<string> => {
    const disks = [];
    for (const disk_id of name === 'one' ? [0, 10] : [0]) {
      const path = join(api.fleet.sources, `${name}-${disk_id}.raw`);
      await writeFile(path, Buffer.alloc(1 << 20, disk_id + 1));
      disks.push({ disk_id, source: { type: 'file', path, format: 'raw' } });
    }
    const answer = await api.call('PUT', 'vms', { body: { vm_name: name, repository_id: 'main', disks } });
    return answer.body.vm_context_id;
  };
  const backUp = async (vm_name: string) => {
    const body = { vm_name, repository_id: 'main', backup_type: 'full' };
    const { body: answer } = await api.call('POST', 'backups', { body });
    for (const { backup_id } of answer.disk_results) await api.fleet.ended(backup_id);
  };
  const validate = async (
    path: string,
    level: 'quick' | 'deep',
    headers = {},
  ): Promise<ValidationsAccepted> => {
    const answer = await api.call('POST', `${path}/validate`, { as: 'operator', body: { level }, headers });
    expect(answer.status, answer.text).to.equal(202);
    fits(ValidationsAccepted, answer.body);
    return answer.body;
  };
  const ids = ({ jobs }: ValidationsAccepted) => jobs.map(({ job_id }) => job_id);
  const endAll = async ({ jobs }: ValidationsAccepted) => {
    api.fleet.work();
    for (const { job_id } of jobs) expect((await api.fleet.ended(job_id)).status).to.equal('completed');
    await api.fleet.stopWorking();
  };
  const resultOf = async ({ job_id }: AcceptedValidation): Promise<ValidationReport> =>
    (await api.call('GET', `jobs/${job_id}`)).body.result;

  it('of a VM are one job a chain, and no second one while it is open', async () => {
    const first = await validate(`vms/${vms[0]}`, 'quick');
    expect(first.jobs.map(({ vm_name, disk_id, added }) => [vm_name, disk_id, added])).to.have.deep.members([
      ['one', 0, true],
      ['one', 10, true],
    ]);
    const second = await validate(`vms/${vms[0]}`, 'quick');
    expect(ids(second)).to.deep.equal(ids(first));
    expect(second.jobs.every(({ added }) => !added)).to.equal(true);
    // A deep one does what a quick one does, and not the other way round.
    const deep = await validate(`vms/${vms[0]}`, 'deep');
    expect(deep.jobs.every(({ added }) => added)).to.equal(true);
    expect(ids(await validate(`vms/${vms[0]}`, 'deep'))).to.deep.equal(ids(deep));
    await endAll(first);
    await endAll(deep);
    for (const job of deep.jobs) expect((await resultOf(job)).read?.complete).to.equal(true);
    expect(ids(await validate(`vms/${vms[0]}`, 'quick'))).to.not.have.members(ids(first));
  });

  it('of a repository are one for each chain with backups, and say which have none', async () => {
    const all = await validate(`repositories/${api.fleet.repositoryId}`, 'quick');
    expect(all.jobs.map(({ vm_name, disk_id }) => `${vm_name} ${disk_id}`)).to.have.members([
      'one 0',
      'one 10',
      'two 0',
    ]);
    expect(all.skipped.map(({ vm_name, reason }) => [vm_name, reason])).to.deep.equal([
      ['bare', 'no_backups'],
    ]);
    await endAll(all);
    for (const job of all.jobs) expect((await resultOf(job)).healthy).to.equal(true);
  });

  it('are accepted once for one Idempotency-Key, also after they have ended', async () => {
    const headers = { 'idempotency-key': 'validate-two' };
    const first = await validate(`vms/${vms[1]}`, 'quick', headers);
    await endAll(first);
    expect(await validate(`vms/${vms[1]}`, 'quick', headers)).to.deep.equal(first);
    const other = await api.call('POST', `vms/${vms[1]}/validate`, {
      as: 'operator',
      body: { level: 'deep' },
      headers,
    });
    isProblem(other, 422, 'idempotency_mismatch');
  });

  it('asked for by several at once are still one job a chain', async () => {
    const path = `repositories/${api.fleet.repositoryId}`;
    const answers = await Promise.all(Array.from({ length: 6 }, () => validate(path, 'deep')));
    for (const answer of answers) expect(ids(answer)).to.deep.equal(ids(answers[0] as ValidationsAccepted));
    const added = answers.flatMap(({ jobs }) => jobs.filter((job) => job.added));
    expect(added).to.have.length(3);
    await endAll(answers[0] as ValidationsAccepted);
  });

  it('follow the backups of a policy that says so', async () => {
    const facts = { name: 'nightly', backup_type: 'full', verify: 'after', vms: [vms[1]] };
    const { body: policy } = await api.call('POST', 'policies', { body: facts });
    fits(Policy, policy);
    expect(policy.verify).to.equal('after');
    api.fleet.work();
    await api.call('POST', `policies/${policy.id}/run`);
    await runPolicies(api.fleet.accept);
    const { items } = (await api.call('GET', 'backups?vm_name=two&limit=1')).body;
    expect(items[0].verify).to.equal('after');
    await api.fleet.ended(items[0].id);
    const rows = await api.fleet.suite.ds.query<{ id: string }[]>(
      `SELECT id FROM maintenance_jobs WHERE chain_id = ? AND priority > 1000`,
      [items[0].chain_id],
    );
    expect(rows).to.have.length(1);
    expect((await api.fleet.ended(rows[0]?.id ?? '')).status).to.equal('completed');
    await api.fleet.stopWorking();
    const patched = await api.call('PATCH', `policies/${policy.id}`, { body: { verify: null } });
    expect(patched.body.verify).to.equal(null);
  });

  it('are refused for what there is not, and for viewers', async () => {
    isProblem(await api.call('POST', 'vms/nobody/validate', { body: { level: 'quick' } }), 404, 'not_found');
    isProblem(
      await api.call('POST', 'repositories/repo_0/validate', { body: { level: 'quick' } }),
      404,
      'not_found',
    );
    const wrong = await api.call('POST', `vms/${vms[0]}/validate`, { body: { level: 'thorough' } });
    expect(isProblem(wrong, 400, 'invalid_request')).to.deep.equal(['level']);
    const viewer = await api.call('POST', `vms/${vms[0]}/validate`, {
      as: 'viewer',
      body: { level: 'quick' },
    });
    isProblem(viewer, 403, 'forbidden');
  });
});
