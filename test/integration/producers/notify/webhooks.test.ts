import { createHmac, randomBytes } from 'node:crypto';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Backup, RestorePointWithBackups, WebhookCreated } from '../../../../src/contract/index.js';
import { acquireLease } from '../../../../src/db/job/acquire.js';
import { endUnsuccessfully } from '../../../../src/db/job/settle.js';
import type { BackgroundChore } from '../../../../src/producers/keeper/inBackground.js';
import { createNotifier } from '../../../../src/producers/notify/notifier.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { fits, isProblem, openApi, type TestApi } from '../http/support.js';
import { type Received, type Receiver, startReceiver } from './receiver.js';

const SECRET = 'a secret of enough length'.replaceAll(' ', '-');

describe('A webhook', () => {
  let api: TestApi;
  let notifier: BackgroundChore;
  let receiver: Receiver;
  const stop = new AbortController();
  let hook: WebhookCreated;

  before(async () => {
    api = await openApi();
    receiver = await startReceiver();
    const options = { timeoutMs: 1_000, giveUpMs: 3_600_000, signal: stop.signal };
    notifier = createNotifier({ ...api.fleet.accept, metrics: api.fleet.worker.metrics }, options);
    await writeFile(join(api.fleet.sources, 'disk.raw'), randomBytes(1 << 20));
    await truncate(join(api.fleet.sources, 'disk.raw'), 4 << 20);
    api.fleet.work();
    hook = await register({ name: 'portal', url: receiver.url, secret: SECRET });
  });
  after(async () => {
    stop.abort();
    await notifier.settled();
    await receiver.close();
    await api.close();
  });
  beforeEach(() => {
    receiver.got.length = 0;
    receiver.answer = (response) => response.writeHead(204).end();
  });

  const register = async (body: object): Promise<WebhookCreated> => {
    const answer = await api.call('POST', 'webhooks', { body });
    expect(answer.status, answer.text).to.equal(201);
    fits(WebhookCreated, answer.body);
    return answer.body;
  };
  const round = async () => {
    await notifier.run();
    await notifier.settled();
  };
  /** The pause after a failure is over. */
  const dueNow = () =>
    api.fleet.suite.ds.query('UPDATE outbox_events SET next_attempt_at = UTC_TIMESTAMP(3)');
  const backUp = async (vm: string, path = 'disk.raw') => {
    const source = { type: 'file', path: join(api.fleet.sources, path), format: 'raw' };
    const disks = [{ disk_id: 0, source, change_id: 'c1' }];
    const body = { vm_name: vm, repository_id: 'main', backup_type: 'full', disks };
    const answer = await api.call('POST', 'backups', { body });
    expect(answer.status, answer.text).to.equal(202);
    const backupId = String(answer.body.disk_results[0].backup_id);
    await api.fleet.ended(backupId);
    return { backupId, restorePointId: String(answer.body.restore_point_id) };
  };
  const deliveries = async (id: string) => (await api.call('GET', `webhooks/${id}/deliveries`)).body.items;
  const verified = ({ headers, text }: Received, secret: string) => {
    const [, seconds, mac] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['strata-signature'])) ?? [];
    return mac === createHmac('sha256', secret).update(`${seconds}.${text}`).digest('hex');
  };

  it('is told of a completed backup and its restore point, signed, with what the API shows', async () => {
    const { backupId, restorePointId } = await backUp('one');
    await round();
    expect(receiver.got.map(({ body }) => body.type)).to.have.members([
      'backup.completed',
      'restore_point.completed',
    ]);
    for (const each of receiver.got) {
      expect(verified(each, SECRET)).to.equal(true);
      expect(verified(each, `${SECRET}x`)).to.equal(false);
      expect(each.headers['strata-event']).to.equal(each.body.type);
      expect(each.headers['strata-event-id']).to.equal(each.body.id);
    }
    const told = (type: string) => receiver.got.find(({ body }) => body.type === type)?.body.data;
    expect(told('backup.completed')).to.deep.equal(await api.read(`backups/${backupId}`, Backup));
    expect(told('restore_point.completed')).to.deep.equal(
      await api.read(`restore-points/${restorePointId}`, RestorePointWithBackups),
    );
    await round();
    expect(receiver.got).to.have.length(2);
  });

  it('is told why a backup failed', async () => {
    await backUp('lost', 'no such disk.raw');
    await round();
    const failed = receiver.got.find(({ body }) => body.type === 'backup.failed');
    expect(failed?.body.data.error.code).to.equal('source_missing');
    expect(receiver.got.map(({ body }) => body.type)).to.include('restore_point.failed');
  });

  it('gets everything, in its order and under the same ids, once it is back', async () => {
    await receiver.shut();
    await backUp('two');
    await round();
    await backUp('three');
    await round();
    await dueNow();
    await round();
    const waiting = (await deliveries(hook.id)).filter((each: { state: string }) => each.state === 'pending');
    expect(waiting).to.have.length(4);
    expect(waiting.at(-1)).to.include({ attempts: 2, last_status: null });
    expect(waiting.at(-1).last_error).to.match(/ECONNREFUSED|fetch failed/);
    await receiver.open();
    await dueNow();
    await round();
    expect(receiver.got.map(({ body }) => body.id)).to.deep.equal(
      waiting.map((each: { event_id: string }) => each.event_id).reverse(),
    );
    expect(receiver.got[0]?.headers['strata-attempt']).to.equal('3');
  });

  it('is asked again after an answer that is no success, with the same bytes; a redirect is none', async () => {
    const answers = [500, 302, 200];
    receiver.answer = (response) =>
      response.writeHead(answers.shift() ?? 200, { location: `${receiver.url}/elsewhere` }).end();
    await api.call('POST', `webhooks/${hook.id}/test`);
    for (const status of [500, 302]) {
      await round();
      expect((await deliveries(hook.id))[0]).to.include({ state: 'pending', last_status: status });
      await dueNow();
    }
    await round();
    expect((await deliveries(hook.id))[0]).to.include({ state: 'delivered', attempts: 3, last_status: 200 });
    expect(new Set(receiver.got.map(({ text }) => text)).size).to.equal(1);
    expect(receiver.got.map(({ path }) => path)).to.deep.equal(['/hook', '/hook', '/hook']);
  });

  it('that never answers is left after its time and keeps nobody else waiting', async () => {
    const silent = await startReceiver();
    silent.answer = () => undefined;
    const mute = await register({ name: 'mute', url: silent.url, events: ['webhook.test'] });
    await api.call('POST', `webhooks/${mute.id}/test`);
    await api.call('POST', `webhooks/${mute.id}/test`);
    await api.call('POST', `webhooks/${hook.id}/test`);
    await round();
    expect(receiver.got).to.have.length(1);
    expect(silent.got).to.have.length(1);
    expect((await deliveries(mute.id)).map((each: { state: string }) => each.state)).to.deep.equal([
      'pending',
      'pending',
    ]);
    await silent.close();
    expect((await api.call('DELETE', `webhooks/${mute.id}`)).status).to.equal(204);
    isProblem(await api.call('GET', `webhooks/${mute.id}/deliveries`), 404, 'not_found');
  });

  it('is told only what it asked for, and nothing while it is disabled', async () => {
    const other = await startReceiver();
    const picky = await register({ name: 'picky', url: other.url, events: ['restore_point.completed'] });
    await backUp('four');
    await api.call('PATCH', `webhooks/${hook.id}`, { body: { enabled: false } });
    isProblem(await api.call('POST', `webhooks/${hook.id}/test`), 409, 'wrong_state');
    await backUp('five');
    await api.call('PATCH', `webhooks/${hook.id}`, { body: { enabled: true } });
    await round();
    expect(other.got.map(({ body }) => body.type)).to.deep.equal(Array(2).fill('restore_point.completed'));
    expect(receiver.got.map(({ body }) => body.data.vm_name)).to.deep.equal(['four', 'four']);
    await other.close();
    await api.call('DELETE', `webhooks/${picky.id}`);
  });

  it('is given up when an event is too old, and told of it on request', async () => {
    receiver.answer = (response) => response.writeHead(503).end();
    await api.call('POST', `webhooks/${hook.id}/test`);
    await api.fleet.suite.ds.query(
      `UPDATE outbox_events SET created_at = created_at - INTERVAL 2 HOUR WHERE state = 'pending'`,
    );
    await round();
    const dead = await api.call('GET', `webhooks/${hook.id}/deliveries?state=dead`);
    expect(dead.body.items).to.have.length(1);
    receiver.answer = (response) => response.writeHead(200).end();
    expect((await api.call('POST', `webhooks/${hook.id}/redeliver`)).body).to.deep.equal({ deliveries: 1 });
    await round();
    expect((await deliveries(hook.id))[0].state).to.equal('delivered');
  });

  it('is not told of an end that was not committed: a lost lease rolls the event back', async () => {
    await api.fleet.stopWorking();
    const { body } = await api.call('POST', 'backups', {
      body: {
        vm_name: 'one',
        repository_id: 'main',
        backup_type: 'full',
        disks: [
          { disk_id: 0, source: { type: 'file', path: join(api.fleet.sources, 'disk.raw'), format: 'raw' } },
        ],
      },
    });
    const jobId = String(body.disk_results[0].backup_id);
    const take = { kind: 'backup', jobId, delivery: 1, owner: 'test', leaseMs: 20_000 } as const;
    const acquired = await acquireLease(api.fleet.suite.ds, take);
    if (acquired.outcome !== 'acquired') throw new Error(acquired.outcome);
    const stale = { ...acquired.lease, fence: acquired.lease.fence - 1 };
    const failure = { code: 'internal', detail: 'from a frozen worker' };
    expect(await codeOf(endUnsuccessfully(api.fleet.suite.ds, stale, 'failed', failure))).to.equal(
      'lease_lost',
    );
    await round();
    expect(receiver.got).to.deep.equal([]);
    await endUnsuccessfully(api.fleet.suite.ds, acquired.lease, 'failed', failure);
    await round();
    expect(receiver.got.map(({ body: told }) => told.type)).to.have.members([
      'backup.failed',
      'restore_point.failed',
    ]);
  });

  it('is refused with an address that is none of HTTP, holds a password, or has a taken name', async () => {
    for (const url of ['ftp://127.0.0.1/x', '/hook', 'file:///etc/passwd', 'http://u:p@127.0.0.1/']) {
      const refused = await api.call('POST', 'webhooks', { body: { name: 'x', url } });
      expect(isProblem(refused, 400, 'invalid_request')).to.deep.equal(['url']);
    }
    isProblem(
      await api.call('POST', 'webhooks', { body: { name: 'portal', url: receiver.url } }),
      409,
      'name_taken',
    );
    isProblem(await api.call('GET', 'webhooks', { as: 'operator' }), 403, 'forbidden');
    const { text } = await api.call('GET', 'webhooks');
    expect(text).to.contain('portal').and.not.contain(SECRET);
  });
});
