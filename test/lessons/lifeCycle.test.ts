import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Queue, QueueEvents } from 'bullmq';
import { expect } from 'chai';
import { Backup, type PolicyRun, PolicyRunWithVms } from '../../src/contract/index.js';
import { acceptRestore, acceptValidation } from '../../src/producers/accept/index.js';
import { startIntake } from '../../src/producers/intake/startIntake.js';
import { runPolicies } from '../../src/producers/schedules/runPolicies.js';
import { intakeQueueName, queuePrefix } from '../../src/queue/catalogue.js';
import { connectRedis } from '../../src/queue/connection.js';
import { HANDLERS } from '../../src/workers/handlers.js';
import { writeAt } from '../helpers/disks.js';
import { startFleetProcess } from '../helpers/fleetProcess.js';
import { startNbdkit } from '../helpers/nbdServers.js';
import {
  createVmOfDisks,
  endedPoint,
  expectSame,
  save,
  toldOf,
  type VmOfDisks,
} from '../helpers/vmOfDisks.js';
import { runMain } from '../integration/cli/system.js';
import { openApi, type TestApi } from '../integration/producers/http/support.js';

const BLOCK = 65536;
const SIZE = 16 * BLOCK;

describe('The life of a job', function () {
  this.timeout(60_000);
  let api: TestApi;
  let url: string;
  let made = 0;
  before(async () => {
    api = await openApi();
    url = await api.app.listen({ host: '127.0.0.1', port: 0 });
    api.fleet.work(4);
  });
  after(() => api.close());

  /** A registered VM. */
  const register = async (name: string, source?: object): Promise<{ vm: VmOfDisks; contextId: string }> => {
    const vm = await createVmOfDisks(api.fleet, { name, ids: [0], sizeBytes: SIZE });
    const disks = [{ disk_id: 0, source: source ?? vm.source(0) }];
    const body = { vm_name: name, repository_id: 'main', disks };
    const answer = await api.call('PUT', 'vms', { body });
    expect(answer.status, answer.text).to.equal(200);
    return { vm, contextId: answer.body.vm_context_id };
  };
  const policyOf = async (vms: string[]): Promise<string> => {
    const body = { name: `policy-${++made}`, schedule: '30 2 * * *', backup_type: 'incremental' };
    const answer = await api.call('POST', 'policies', { body: { ...body, vms } });
    expect(answer.status, answer.text).to.equal(201);
    return answer.body.id;
  };
  const sql = <T>(text: string, values: unknown[]) => api.fleet.suite.ds.query<T>(text, values);
  const backupsOf = async (restorePointId: string): Promise<string[]> => {
    const rows = await sql<{ id: string }[]>('SELECT id FROM backup_jobs WHERE restore_point_id = ?', [
      restorePointId,
    ]);
    return rows.map(({ id }) => id);
  };
  const runOf = async (policyId: string): Promise<PolicyRunWithVms | undefined> => {
    const [run]: PolicyRun[] = (await api.call('GET', `policies/${policyId}/runs`)).body.items;
    return run && api.read(`policies/${policyId}/runs/${run.id}`, PolicyRunWithVms);
  };

  it('lesson 28: a second backup is an increment of what has changed, whoever asks for it', async () => {
    const { vm, contextId } = await register('twenty-eight');
    const request = { vm_name: vm.name, repository_id: 'main', backup_type: 'incremental' };
    const redis = connectRedis(
      { url: api.fleet.suite.redisUrl },
      { use: 'worker', onError: () => undefined },
    );
    const name = intakeQueueName('default');
    const connection = { connection: redis, prefix: queuePrefix(api.fleet.suite.queuePrefix, name) };
    const [queue, events] = [new Queue(name, connection), new QueueEvents(name, connection)];
    const intake = startIntake(api.fleet.accept, {
      redis,
      redisPrefix: api.fleet.suite.queuePrefix,
      pools: ['default'],
    });
    const policy = await policyOf([contextId]);
    /** Each gives the id of the restore point that it has asked for. */
    const producers: Record<string, () => Promise<string>> = {
      http: async () => (await api.call('POST', 'backups', { body: request })).body.restore_point_id,
      intake: async () => {
        const entry = await queue.add('backup', { v: 1, backup: request });
        return (await entry.waitUntilFinished(events, 20_000)).restore_point_id;
      },
      policy: async () => {
        await api.call('POST', `policies/${policy}/run`);
        await runPolicies(api.fleet.accept);
        return (await runOf(policy))?.vms[0]?.restore_point_id ?? '';
      },
      command: async () => {
        const args = ['backup', vm.name, '--type', 'incremental', '--json'];
        const { out, err } = await runMain('cli', args, {
          STRATA_URL: url,
          STRATA_TOKEN: api.tokens.operator,
        });
        expect(err).to.equal('');
        return JSON.parse(out).restore_point_id;
      },
    };
    try {
      expect(toldOf(await vm.backUp('full'))).to.deep.equal({ 0: 'full' });
      for (const [who, ask] of Object.entries(producers)) {
        await writeAt(vm.path(0), 3 * BLOCK, 100);
        const pointId = await ask();
        const ended = await endedPoint(api.fleet, pointId, await backupsOf(pointId));
        expect(toldOf(ended), who).to.deep.equal({ 0: 'incremental' });
        expect(ended.backups[0]?.bytesTransferred, who).to.equal(BLOCK);
        await save(api.fleet, ended.backups[0]?.id ?? '', vm.path(0));
        await expectSame(api.fleet, Object.values(ended.backups));
      }
    } finally {
      await intake.stop();
      await events.close();
      await queue.close();
      redis.disconnect();
    }
  });

  it('lesson 32: what is scheduled is called, and a run without a VM does not stay running', async () => {
    const { contextId } = await register('thirty-two');
    const policies = [await policyOf([contextId]), await policyOf([])];
    await sql('UPDATE policies SET next_run_at = UTC_TIMESTAMP(3) WHERE id IN (?)', [policies]);
    const keeper = startFleetProcess(api.fleet, { entry: 'keeper', env: { STRATA_SWEEP_MS: '200' } });
    try {
      const statuses = async () =>
        Promise.all(policies.map(async (id) => (await runOf(id))?.status ?? 'not begun'));
      const until = performance.now() + 30_000;
      while ((await statuses()).join() !== 'completed,empty') {
        if (performance.now() > until) throw new Error(`${(await statuses()).join()}\n${keeper.output()}`);
        await api.fleet.accept.clock.sleep(100);
      }
    } finally {
      await keeper.stop();
    }
    const point = (await runOf(policies[0] ?? ''))?.vms[0]?.restore_point_id ?? '';
    expect(toldOf(await endedPoint(api.fleet, point, await backupsOf(point)))).to.deep.equal({
      0: 'full no_completed_full',
    });
  });

  it('lesson 34: a job whose handler throws has failed, in the catalogue, in the queue and in the API', async () => {
    const { vm } = await register('thirty-four');
    const { backups } = await vm.backUp('full');
    const { id: backup_id, chainId } = backups[0] ?? { id: '', chainId: '' };
    const { worker, accept, restores } = api.fleet;
    const defect = () => Promise.reject(new TypeError('a defect'));
    worker.handlers = { backup: defect, maintenance: defect, restore: defect };
    try {
      const target = { type: 'file' as const, path: join(restores, 'never.raw') };
      const jobs = [
        (await vm.backUp('incremental')).backups[0]?.id ?? '',
        (await acceptValidation(accept, { chainId, level: 'quick' })).job_id,
        (await acceptRestore(accept, { backup_id, target, format: 'raw' })).restore_id,
      ];
      const entries: string[] = [];
      for (const id of jobs) {
        expect(await api.fleet.ended(id)).to.include({ status: 'failed', error_code: 'internal' });
        const shown = await api.call('GET', `jobs/${id}`);
        expect(shown.body).to.deep.include({ id, status: 'failed' });
        expect(shown.body.error.code).to.equal('internal');
      }
      for (const queue of api.fleet.queue.queues(['default'])) {
        const until = performance.now() + 5_000;
        while ((await queue.getFailedCount()) === 0 && performance.now() < until)
          await accept.clock.sleep(20);
        for (const entry of await queue.getFailed()) entries.push(entry.data.job_id);
      }
      expect(entries).to.have.members(jobs);
    } finally {
      worker.handlers = HANDLERS;
    }
    expect(toldOf(await vm.backUp('incremental')), 'the chain goes on').to.deep.equal({ 0: 'incremental' });
  });

  it('lesson 35: a run names every VM: what went well as that, and what failed with the error of the transfer', async () => {
    const map = join(api.fleet.suite.tempDir, 'bad.map');
    await writeFile(map, '0x0 + 1\n0x0 0x20000 +\n0x20000 0x10000 -\n0x30000 0xd0000 +\n');
    const good = await register('thirty-five');
    const lost = await register('lost');
    await rm(lost.vm.path(0));
    const server = await startNbdkit('--filter=ddrescue', 'file', good.vm.path(0), `ddrescue-mapfile=${map}`);
    try {
      const bad = await register('bad', { type: 'nbd', uri: server.uri() });
      const contexts = [good.contextId, bad.contextId, lost.contextId];
      const policy = await policyOf(contexts);
      await api.call('POST', `policies/${policy}/run`);
      await runPolicies(api.fleet.accept);
      const found = new Map<string, string>();
      for (const { vm_context_id, restore_point_id } of (await runOf(policy))?.vms ?? []) {
        for (const id of await backupsOf(restore_point_id ?? '')) {
          await api.fleet.ended(id);
          const { status, error }: Backup = await api.read(`backups/${id}`, Backup);
          found.set(vm_context_id, `${status} ${error?.code ?? ''} ${error?.detail ? 'why' : ''}`.trim());
        }
      }
      await runPolicies(api.fleet.accept);
      expect(contexts.map((id) => found.get(id))).to.deep.equal([
        'completed',
        'failed nbd_io_error why',
        'failed source_missing why',
      ]);
      expect((await runOf(policy))?.status).to.equal('completed_with_warnings');
    } finally {
      await server.stop();
    }
  });
});
