import { tellRefusedSchedules } from '../../../../src/producers/schedules/startSchedules.js';
import { expect } from 'chai';
import { Policy, type PolicyRun } from '../../../../src/contract/index.js';
import { nextTimeOfStored } from '../../../../src/producers/schedules/cron.js';
import { runPolicies } from '../../../../src/producers/schedules/runPolicies.js';
import { connectRedis } from '../../../../src/queue/connection.js';
import { createScheduleSet } from '../../../../src/queue/schedules.js';
import { isProblem, openApi, type TestApi } from '../http/support.js';

describe('A schedule that is stored and would be refused today', () => {
  let api: TestApi;
  let made = 0;

  before(async () => {
    api = await openApi();
  });
  after(() => api.close());

  const sql = <T>(text: string, values: unknown[] = []) => api.fleet.suite.ds.query<T>(text, values);
  const add = async (): Promise<Policy> => {
    const body = { name: `policy-${++made}`, schedule: '30 2 * * *' };
    const answer = await api.call('POST', 'policies', { body });
    expect(answer.status, answer.text).to.equal(201);
    return answer.body;
  };
  const store = (policy: Policy, schedule: string) =>
    sql('UPDATE policies SET schedule = ?, next_run_at = UTC_TIMESTAMP(3) WHERE id = ?', [
      schedule,
      policy.id,
    ]);
  const runsOf = async (policy: Policy): Promise<PolicyRun[]> =>
    (await api.call('GET', `policies/${policy.id}/runs`)).body.items;
  const read = (policy: Policy): Promise<Policy> => api.read(`policies/${policy.id}`, Policy);

  it('goes on, says so, and stops no other policy', async () => {
    const [old, hopeless, good] = [await add(), await add(), await add()];
    await store(old, 'H H * * *');
    await store(hopeless, 'not a schedule at all');
    await store(good, '30 2 * * *');
    await runPolicies(api.fleet.accept);
    for (const policy of [old, hopeless, good]) expect(await runsOf(policy)).to.have.length(1);
    const shown = await read(old);
    expect(shown.schedule_problem).to.match(/the minute "H" is not known here/);
    expect(Date.parse(shown.next_run_at ?? '')).to.be.greaterThan(Date.now());
    expect(await read(hopeless)).to.include({ next_run_at: null });
    expect((await read(hopeless)).schedule_problem).to.match(/five are needed|is none of/);
    expect((await read(good)).schedule_problem).to.equal(null);
  });

  it('can be switched off, and not written again', async () => {
    const old = await add();
    await store(old, '*/90 * * * *');
    const off = await api.call('PATCH', `policies/${old.id}`, { body: { enabled: false } });
    expect(off.status, off.text).to.equal(200);
    const on = await api.call('PATCH', `policies/${old.id}`, { body: { enabled: true } });
    expect(on.status, on.text).to.equal(200);
    expect(on.body.next_run_at).to.match(/:00:00\.000Z$/);
    const anew = await api.call('PATCH', `policies/${old.id}`, { body: { schedule: '*/80 * * * *' } });
    expect(isProblem(anew, 400, 'invalid_request')).to.deep.equal(['schedule']);
  });

  it('is told to the webhooks once', async () => {
    const hook = { name: 'told', url: 'http://127.0.0.1:9/', events: ['policy.schedule_refused'] };
    expect((await api.call('POST', 'webhooks', { body: hook })).status).to.equal(201);
    const policy = await add();
    const scheduled = [{ id: policy.id, schedule: '0 0 L * *', timeZone: 'UTC' }];
    await tellRefusedSchedules(api.fleet.accept)(scheduled);
    await tellRefusedSchedules(api.fleet.accept)(scheduled);
    const told = await sql<{ subject_id: string }[]>(
      `SELECT subject_id FROM outbox_events WHERE type = 'policy.schedule_refused'`,
    );
    expect(told.map(({ subject_id }) => subject_id)).to.deep.equal([policy.id]);
  });

  it('wakes by the same reading in BullMQ, as every other does', async () => {
    const { redisUrl, queuePrefix } = api.fleet.suite;
    const redis = connectRedis({ url: redisUrl }, { use: 'worker', onError: () => undefined });
    const schedules = createScheduleSet(redis, queuePrefix, nextTimeOfStored);
    const wanted = [
      { id: 'pol_new', schedule: '0 0 * * *', timeZone: 'America/Havana' },
      { id: 'pol_old', schedule: 'H H * * *', timeZone: 'UTC' },
      { id: 'pol_none', schedule: 'not a schedule at all', timeZone: 'UTC' },
    ];
    try {
      await schedules.sync(wanted);
      const found = await schedules.queue.getJobSchedulers();
      const nextOf = new Map(found.map(({ key, next }) => [key, next]));
      for (const { id, schedule, timeZone } of wanted.slice(0, 2)) {
        expect(nextOf.get(id), id).to.equal(nextTimeOfStored(schedule, timeZone, new Date())?.getTime());
      }
      expect(nextOf.has('pol_none')).to.equal(false);
    } finally {
      await schedules.close();
      redis.disconnect();
    }
  });

  it('is refused when it is new: four fields, by the names of the five', async () => {
    const answer = await api.call('POST', 'policies', { body: { name: 'four', schedule: '30 2 * *' } });
    expect(isProblem(answer, 400, 'invalid_request')).to.deep.equal(['schedule']);
    expect(answer.body.detail).to.match(/it has 4 fields; five are needed: minute, hour, day of month/);
  });
});
