import { type JobKind } from '../../../../src/shared/jobs.js';
import { expect } from 'chai';
import { join } from 'node:path';
import { Backup, BackupPage, Job, Repository, Restore } from '../../../../src/contract/index.js';
import { heartbeat, leaveFleet } from '../../../../src/db/fleet/processes.js';
import type { DueDelivery } from '../../../../src/db/webhook/outbox.js';
import { createPoolWatch } from '../../../../src/producers/keeper/pools.js';
import { describe as bodyOf } from '../../../../src/producers/notify/describe.js';
import { makeDisk } from '../../../helpers/disks.js';
import { strataOn } from './cli.js';
import { openApi, type TestApi } from './support.js';

const KINDS: JobKind[] = ['backup', 'maintenance', 'restore'];

describe('A job that waits', function () {
  this.timeout(60_000);
  let api: TestApi;
  const source = () => join(api.fleet.sources, 'disk.raw');
  beforeEach(async () => {
    api = await openApi();
    await makeDisk(source(), 1024 * 1024, [[0, 4096]]);
  });
  afterEach(() => api.close());

  /** Says that workers of these kinds live; there are none in this process until `work`. */
  const live = async (pools: string[], kinds: readonly JobKind[] = KINDS) => {
    for (const kind of kinds) {
      const process = {
        id: `p-${kind}`,
        role: `worker-${kind}`,
        host: 'h',
        pid: 1,
        pools,
        metricsAddress: null,
      };
      await heartbeat(api.fleet.suite.ds, process);
    }
  };
  const accept = async (more: object = {}, backup_type = 'full') => {
    const file = { type: 'file', path: source(), format: 'raw' };
    const disks = [{ disk_id: 0, source: file, ...more }];
    const body = { vm_name: 'web', repository_id: 'main', backup_type, disks };
    const { body: accepted, text } = await api.call('POST', 'backups', { body });
    return (accepted.disk_results?.[0]?.backup_id ?? text) as string;
  };
  const waitingOf = async (id: string) => ((await api.read(`jobs/${id}`, Job)) as Job).waiting_for;
  const set = (id: string, sql: string) =>
    api.fleet.suite.ds.query(`UPDATE backup_jobs SET ${sql} WHERE id = ?`, [id]);

  it('says that no live worker serves its pool, and which one it lacks', async () => {
    const id = await accept();
    expect(await waitingOf(id)).to.include({ reason: 'no_worker' });
    expect((await waitingOf(id))?.detail)
      .to.include('pool default')
      .and.to.include('STRATA_POOLS');
    await live(['other']);
    expect(await waitingOf(id)).to.include({ reason: 'no_worker' });
    const { out } = await strataOn(api, 'jobs');
    expect(out)
      .to.match(new RegExp(`${id} .* no worker`))
      .and.to.include('warning: No live worker serves backup');
    await live(['default']);
    expect(await waitingOf(id)).to.include({ reason: 'worker' });
  });

  it('says which job of its chain is in front, and what that waits for', async () => {
    await live(['default']);
    const [first, second] = [await accept(), await accept()];
    expect(await waitingOf(second)).to.deep.include({ reason: 'job', job_id: first });
    const until = 'not_before = UTC_TIMESTAMP(3) + INTERVAL 60 SECOND';
    await set(first, `${until}, error_code = 'no_space', error_detail = 'Repository main has no room.'`);
    expect((await waitingOf(second))?.detail).to.include('waits itself [no_space]');
    const own = await waitingOf(first);
    expect(own).to.include({ reason: 'condition', detail: 'Repository main has no room. [no_space]' });
    expect(Date.parse(own?.until ?? '')).to.be.above(Date.now());
    await set(first, `error_code = 'nbd_connection_lost'`);
    expect(await waitingOf(first)).to.include({ reason: 'pause' });
    await set(first, `not_before = NULL, parked_at = UTC_TIMESTAMP(3)`);
    expect(await waitingOf(first)).to.include({ reason: 'slot' });
    const { out } = await strataOn(api, 'job', second);
    expect(out).to.match(new RegExp(`waits for +Job ${first} of its chain`));
    const list = (await api.read('backups?status=queued', BackupPage)) as { items: Backup[] };
    expect(list.items.map(({ waiting_for }) => waiting_for?.job_id)).to.deep.equal([first]);
    expect(((await api.read(`backups/${first}`, Backup)) as Backup).waiting_for).to.include({
      reason: 'slot',
    });
  });

  it('says that its change list is to come, and a restore behind it is not said to wait for it', async () => {
    await live(['default']);
    const done = await accept();
    await set(
      done,
      `status = 'completed', backup_type = 'full', repository_path = 'x', size_bytes = 1, virtual_size = 512, content_id = 'c', completed_at = UTC_TIMESTAMP(3), fence = 1`,
    );
    const id = await accept({ extents_follow: true, change_id: 'a', since_change_id: 'b' }, 'incremental');
    const own = await waitingOf(id);
    expect(own, JSON.stringify(own)).to.include({ reason: 'change_list' });
    expect(own?.until).to.be.a('string');
    const behind = await accept();
    expect((await waitingOf(behind))?.detail).to.include('waits for its change list');
    const target = { type: 'file', path: join(api.fleet.restores, 'x.raw') };
    const { body } = await api.call('POST', 'restores', { body: { backup_id: done, target, format: 'raw' } });
    const restore = (await api.read(`restores/${body.restore_id}`, Restore)) as Restore;
    expect(restore).to.deep.include({ status: 'released' });
    expect(restore.waiting_for).to.include({ reason: 'worker' });
  });

  it('says nothing more when it runs or has ended', async () => {
    api.fleet.work();
    const id = await accept();
    expect(await api.fleet.ended(id)).to.include({ status: 'completed' });
    expect(await waitingOf(id)).to.equal(undefined);
  });

  it('shows its reason on the board, at its entry in the queue', async () => {
    api.fleet.work();
    const done = await accept();
    await api.fleet.ended(done);
    await api.fleet.suite.ds.query('UPDATE repositories SET min_free_bytes = ?', [2 ** 52]);
    const id = await accept();
    while ((await waitingOf(id))?.reason !== 'condition') await api.fleet.accept.clock.sleep(50);
    const [queue] = api.fleet.queue.queues(['default']);
    const logs = async (entry: string) => (await queue?.getJobLogs(entry))?.logs.join('\n') ?? '';
    expect(await logs(`${id}-2`)).to.include('[no_space]');
    const target = { type: 'file', path: join(api.fleet.restores, 'x.raw') };
    const { body } = await api.call('POST', 'restores', { body: { backup_id: done, target, format: 'raw' } });
    const restores = api.fleet.queue.queues(['default']).find(({ name }) => name.startsWith('restore'));
    const passed = (await restores?.getJobLogs(`${body.restore_id}-1`))?.logs.join('\n');
    expect(passed).to.include(`goes before ${id}`).and.to.include('[no_space]');
    expect(await api.fleet.ended(body.restore_id)).to.include({ status: 'completed' });
  });
});

describe('A pool that no live worker serves', function () {
  this.timeout(60_000);
  let api: TestApi;
  beforeEach(async () => {
    api = await openApi();
  });
  afterEach(() => api.close());

  const live = (kind: JobKind, pools: string[]) =>
    heartbeat(api.fleet.suite.ds, {
      id: `p-${kind}`,
      role: `worker-${kind}`,
      host: 'h',
      pid: 1,
      pools,
      metricsAddress: null,
    });
  const events = async () =>
    (
      await api.fleet.suite.ds.query<Pick<DueDelivery, 'type'>[]>(
        `SELECT type FROM outbox_events WHERE subject_id = 'default' ORDER BY created_at, id`,
      )
    ).map(({ type }) => type);

  it('is warned of when a repository is registered or changed, and when it is looked at', async () => {
    for (const kind of KINDS) await live(kind, ['default']);
    const root = join(api.fleet.suite.tempDir, 'far');
    const made = await strataOn(api, 'repo', 'add', 'far', root, '--pool', 'berlin');
    expect(made.code, made.err).to.equal(0);
    expect(made.out).to.include(
      'warning: no live worker serves backup, maintenance, restore jobs of the pool berlin',
    );
    expect((await strataOn(api, 'repo', 'show', 'far')).out).to.match(
      /not served +backup, maintenance, restore/,
    );
    const moved = await strataOn(api, 'repo', 'set', 'far', '--pool', 'default');
    expect(moved.out).not.to.include('warning');
    await leaveFleet(api.fleet.suite.ds, 'p-restore');
    const seen = (await api.read(`repositories/${api.fleet.repositoryId}`, Repository)) as Repository;
    expect(seen.unserved_kinds).to.deep.equal(['restore']);
  });

  it('is told to webhooks once an episode, after the time that a restart takes, and once when it is served again', async () => {
    await api.call('POST', 'webhooks', { body: { name: 'told', url: 'http://127.0.0.1:9/' } });
    for (const kind of KINDS) await live(kind, ['default']);
    const deps = { ...api.fleet.accept, metrics: api.fleet.worker.metrics };
    const [patient, watch] = [createPoolWatch(deps, 120), createPoolWatch(deps, 0)];
    await watch();
    await leaveFleet(api.fleet.suite.ds, 'p-restore');
    await patient();
    await patient();
    expect(await events(), 'a restart').to.deep.equal([]);
    for (let round = 0; round < 3; round++) await watch();
    expect(await events()).to.deep.equal(['pool.unserved']);
    expect(await api.fleet.worker.metrics.registry.metrics()).to.match(
      /strata_unserved_queues\{pool="default",kind="restore"[^}]*\} 1/,
    );
    const [row] = await api.fleet.suite.ds.query<{ event_id: string; created_at: Date }[]>(
      'SELECT event_id, created_at FROM outbox_events',
    );
    const told = {
      type: 'pool.unserved',
      subjectId: 'default',
      eventId: row?.event_id,
      createdAt: row?.created_at,
    };
    expect(JSON.parse(await bodyOf(api.fleet.suite.ds, told as DueDelivery)).data).to.deep.equal({
      id: 'default',
      unserved_kinds: ['restore'],
      repositories: ['main'],
    });
    await live('restore', ['default']);
    for (let round = 0; round < 2; round++) await watch();
    expect(await events()).to.deep.equal(['pool.unserved', 'pool.served']);
    expect(await api.fleet.worker.metrics.registry.metrics()).not.to.match(/strata_unserved_queues\{/);
    await leaveFleet(api.fleet.suite.ds, 'p-backup');
    for (let round = 0; round < 3; round++) await watch();
    expect(await events()).to.deep.equal(['pool.unserved', 'pool.served', 'pool.unserved']);
  });
});
