import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Queue } from 'bullmq';
import { expect } from 'chai';
import { Policy, PolicyRun, PolicyRunWithVms, Simulation, Vm } from '../../../../src/contract/index.js';
import { runPolicies } from '../../../../src/producers/schedules/runPolicies.js';
import { type Schedules, startSchedules } from '../../../../src/producers/schedules/startSchedules.js';
import { queuePrefix } from '../../../../src/queue/catalogue.js';
import { connectRedis } from '../../../../src/queue/connection.js';
import { SCHEDULE_QUEUE } from '../../../../src/queue/schedules.js';
import { fits, isProblem, openApi, type TestApi } from '../http/support.js';

describe('A policy', () => {
  let api: TestApi;
  let made = 0;

  before(async () => {
    api = await openApi();
    api.fleet.work();
  });
  after(() => api.close());

  const sql = <T>(text: string, values: unknown[] = []) => api.fleet.suite.ds.query<T>(text, values);
  const addVm = async (): Promise<string> => {
    const name = `vm-${++made}`;
    const path = join(api.fleet.sources, `${name}.raw`);
    await writeFile(path, randomBytes(1 << 16));
    const disks = [{ disk_id: 0, source: { type: 'file', path, format: 'raw' } }];
    const answer = await api.call('PUT', 'vms', { body: { vm_name: name, repository_id: 'main', disks } });
    fits(Vm, answer.body);
    return answer.body.vm_context_id;
  };
  const add = async (body: object = {}): Promise<Policy> => {
    const name = `policy-${++made}`;
    const all = { name, schedule: '30 2 * * *', backup_type: 'full', vms: [await addVm()], ...body };
    const answer = await api.call('POST', 'policies', { body: all });
    expect(answer.status, answer.text).to.equal(201);
    fits(Policy, answer.body);
    return answer.body;
  };
  const makeDue = (policy: Policy, minutesAgo = 0) =>
    sql('UPDATE policies SET next_run_at = UTC_TIMESTAMP(3) - INTERVAL ? MINUTE WHERE id = ?', [
      minutesAgo,
      policy.id,
    ]);
  const round = () => runPolicies(api.fleet.accept);
  const runsOf = async (policy: Policy): Promise<PolicyRun[]> =>
    (await api.call('GET', `policies/${policy.id}/runs`)).body.items;
  const readRun = async (policy: Policy, id: string): Promise<PolicyRunWithVms> =>
    api.read(`policies/${policy.id}/runs/${id}`, PolicyRunWithVms);
  const allEnded = async (run: PolicyRunWithVms) => {
    for (const { restore_point_id } of run.vms) {
      const rows = await sql<{ id: string }[]>('SELECT id FROM backup_jobs WHERE restore_point_id = ?', [
        restore_point_id,
      ]);
      for (const { id } of rows) await api.fleet.ended(id);
    }
  };

  it('that is due backs its VMs up, once, and is due again by its schedule', async () => {
    const policy = await add({ time_zone: 'Europe/Berlin', vms: [await addVm(), await addVm()] });
    await round();
    expect(await runsOf(policy)).to.deep.equal([]);
    await makeDue(policy);
    await round();
    await round();
    const [run] = await runsOf(policy);
    if (!run) throw new Error('It did not begin.');
    expect(run).to.include({ status: 'running', started_by: 'schedule' });
    const before = await readRun(policy, run.id);
    expect(before.vms.every(({ restore_point_id }) => restore_point_id !== null)).to.equal(true);
    await allEnded(before);
    await round();
    expect(await runsOf(policy)).to.have.length(1);
    expect((await readRun(policy, run.id)).status).to.equal('completed');
    const next = (await api.read(`policies/${policy.id}`, Policy)) as Policy;
    expect(next.next_run_at).to.match(/T0[01]:30:00\.000Z$/);
    expect(Date.parse(next.next_run_at ?? '')).to.be.greaterThan(Date.now());
  });

  it('that was missed many times catches up once', async () => {
    const policy = await add({ schedule: '* * * * *' });
    await makeDue(policy, 60 * 24 * 3);
    await Promise.all([round(), round(), round()]);
    const runs = await runsOf(policy);
    expect(runs).to.have.length(1);
    expect(runs[0]?.started_by).to.equal('catch_up');
    await api.call('PATCH', `policies/${policy.id}`, { body: { enabled: false } });
    await allEnded(await readRun(policy, runs[0]?.id ?? ''));
  });

  it('never overlaps itself, and says that it was skipped', async () => {
    const policy = await add();
    await api.fleet.stopWorking();
    await makeDue(policy);
    await round();
    await makeDue(policy);
    await round();
    const statuses = (await runsOf(policy)).map(({ status }) => status);
    expect(statuses).to.deep.equal(['skipped', 'running']);
    isProblem(await api.call('POST', `policies/${policy.id}/run`), 409, 'wrong_state');
    api.fleet.work();
    await allEnded(await readRun(policy, (await runsOf(policy))[1]?.id ?? ''));
    await round();
    const again = await api.call('POST', `policies/${policy.id}/run`, { as: 'operator' });
    expect(again.status, again.text).to.equal(202);
    fits(PolicyRun, again.body);
    await allEnded(await readRun(policy, again.body.id));
  });

  it('without VMs does not run as if all were well', async () => {
    const policy = await add({ vms: [] });
    await makeDue(policy);
    await round();
    expect((await runsOf(policy)).map(({ status }) => status)).to.deep.equal(['empty']);
  });

  it('spreads its VMs over the jitter, each at its place', async () => {
    const vms = await Promise.all(Array.from({ length: 8 }, addVm));
    const policy = await add({ vms, jitter_seconds: 3600 });
    await makeDue(policy);
    await round();
    const run = await readRun(policy, (await runsOf(policy))[0]?.id ?? '');
    const delays = run.vms.map(({ due_at }) => Date.parse(due_at) - Date.parse(run.started_at));
    expect(Math.max(...delays)).to.be.within(1, 3_600_000);
    expect(new Set(delays).size).to.be.greaterThan(4);
    const waiting = run.vms.filter((vm) => vm.restore_point_id === null);
    expect(waiting.length).to.be.greaterThan(0);
    await sql('UPDATE policy_run_vms SET due_at = UTC_TIMESTAMP(3) WHERE run_id = ?', [run.id]);
    await round();
    const after = await readRun(policy, run.id);
    expect(after.vms.every((vm) => vm.restore_point_id !== null)).to.equal(true);
    await allEnded(after);
  });

  it('takes no second backup where a crash lost the note that the first was accepted', async () => {
    const policy = await add();
    await makeDue(policy);
    await round();
    const run = await readRun(policy, (await runsOf(policy))[0]?.id ?? '');
    await sql('UPDATE policy_run_vms SET restore_point_id = NULL WHERE run_id = ?', [run.id]);
    await round();
    expect((await readRun(policy, run.id)).vms).to.deep.equal(run.vms);
    await allEnded(run);
  });

  it('tells which VM it could not ask for, and why', async () => {
    const bare = await addVm();
    await sql('UPDATE vm_disks SET retired_at = UTC_TIMESTAMP(3) WHERE vm_context_id = ?', [bare]);
    const good = await addVm();
    const policy = await add({ vms: [bare, good] });
    const { body } = await api.call('POST', `policies/${policy.id}/run`);
    const run = await readRun(policy, body.id);
    const refused = run.vms.find(({ vm_context_id }) => vm_context_id === bare);
    expect(refused?.error?.code).to.be.a('string');
    await allEnded({ ...run, vms: run.vms.filter(({ vm_context_id }) => vm_context_id === good) });
    await round();
    expect((await readRun(policy, run.id)).status).to.equal('completed_with_warnings');
  });

  it('simulates what it would keep, and says why', async () => {
    const policy = await add({ keep: { daily: 2, within: '1h' } });
    const [vm = ''] = policy.vms;
    for (let backup = 0; backup < 4; backup++) {
      const { body } = await api.call('POST', `policies/${policy.id}/run`);
      await allEnded(await readRun(policy, body.id));
      await round();
      await sql(
        'UPDATE restore_points SET created_at = created_at - INTERVAL 1 DAY WHERE vm_context_id = ?',
        [vm],
      );
    }
    const simulation: Simulation = await api.read(`policies/${policy.id}/simulate`, Simulation);
    expect(simulation).to.include({ keep: 2, remove: 2 });
    expect(simulation.vms[0]?.points.map(({ keep }) => keep)).to.deep.equal([true, true, false, false]);
    expect(simulation.vms[0]?.points[0]?.reasons.join()).to.match(
      /^daily \d{4}-\d\d-\d\d,within,newest good point$/,
    );
  });

  it('is refused with what means nothing, and changes nothing', async () => {
    const policy = await add();
    const wrong: [string, object][] = [
      ['schedule', { schedule: 'every day at noon' }],
      ['schedule', { schedule: '0 0 31 2 *' }],
      ['time_zone', { time_zone: 'Mars/Olympus' }],
      ['keep.within', { keep: { within: '3 days' } }],
      ['full_every', { full_every: 7 }],
      ['vms', { vms: ['no-such-vm'] }],
    ];
    for (const [field, body] of wrong) {
      const answer = await api.call('PATCH', `policies/${policy.id}`, { body });
      expect(answer.status, answer.text).to.be.oneOf([400, 404]);
      expect(answer.body.errors[0].field, answer.text).to.equal(field);
    }
    const taken = await api.call('PATCH', `policies/${(await add()).id}`, { body: { vms: policy.vms } });
    expect(isProblem(taken, 409, 'wrong_state')).to.deep.equal(['vms']);
    expect(await api.read(`policies/${policy.id}`, Policy)).to.deep.equal(policy);
    expect((await api.call('DELETE', `policies/${policy.id}`)).status).to.equal(204);
    isProblem(await api.call('GET', `policies/${policy.id}`), 404, 'not_found');
  });

  describe('with BullMQ’s job schedulers', () => {
    let schedules: Schedules;
    let queue: Queue;
    before(() => {
      const { redisUrl, queuePrefix: prefix } = api.fleet.suite;
      const redis = connectRedis({ url: redisUrl }, { use: 'worker', onError: () => undefined });
      schedules = startSchedules(api.fleet.accept, { redis, redisPrefix: prefix });
      queue = new Queue(SCHEDULE_QUEUE, { connection: redis, prefix: queuePrefix(prefix, SCHEDULE_QUEUE) });
    });
    after(async () => {
      await schedules.stop();
      const { connection } = queue.opts;
      await queue.close();
      if ('disconnect' in connection) connection.disconnect();
    });
    const patterns = async () =>
      new Map((await queue.getJobSchedulers()).map(({ key, pattern, tz }) => [key, `${pattern} ${tz}`]));

    it('has one for every policy with a schedule, also after Redis has lost them', async () => {
      const policy = await add({ schedule: '15 3 * * 1', time_zone: 'Europe/Berlin' });
      await schedules.run();
      expect((await patterns()).get(policy.id)).to.equal('15 3 * * 1 Europe/Berlin');
      await queue.obliterate({ force: true });
      await schedules.run();
      expect((await patterns()).get(policy.id)).to.equal('15 3 * * 1 Europe/Berlin');
      await api.call('PATCH', `policies/${policy.id}`, { body: { schedule: '20 3 * * 1' } });
      await schedules.run();
      expect((await patterns()).get(policy.id)).to.equal('20 3 * * 1 Europe/Berlin');
      await api.call('DELETE', `policies/${policy.id}`);
      await schedules.run();
      expect((await patterns()).has(policy.id)).to.equal(false);
    });

    it('begins a run when one of them fires, without waiting for the keeper’s sweep', async () => {
      const policy = await add();
      await makeDue(policy);
      await queue.add('policy', { v: 1, policy_id: policy.id });
      const deadline = performance.now() + 10_000;
      while ((await runsOf(policy)).length === 0) {
        if (performance.now() > deadline) throw new Error('No run has begun.');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await round();
      await allEnded(await readRun(policy, (await runsOf(policy))[0]?.id ?? ''));
    });
  });
});
