import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { DueDelivery } from '../../../../src/db/webhook/outbox.js';
import { retain } from '../../../../src/producers/keeper/retention.js';
import { createSpaceWatch } from '../../../../src/producers/keeper/space.js';
import { passDelays } from '../../../helpers/keeping.js';
import { openSmallDisk, type SmallDisk } from '../../../helpers/mounts.js';
import { openApi, type TestApi } from '../../producers/http/support.js';

const MIB = 1 << 20;

describe('A repository that falls below its reserve', function () {
  this.timeout(120_000);
  let api: TestApi;
  let disk: SmallDisk;
  let repository: string;
  let vm: string;
  const stop = new AbortController();

  before(async () => {
    api = await openApi();
    disk = await openSmallDisk(api.fleet.suite.tempDir, 'small', 96 * MIB);
    const root_path = join(disk.path, 'repository');
    await mkdir(root_path);
    const made = await api.call('POST', 'repositories', {
      body: { name: 'small', type: 'local', root_path, min_free_bytes: 30 * MIB },
    });
    repository = made.body.id;
    const path = join(api.fleet.sources, 'disk.raw');
    await writeFile(path, randomBytes(16 * MIB));
    const source = { type: 'file', path, format: 'raw' };
    const body = { vm_name: 'web', repository_id: 'small', disks: [{ disk_id: 0, source }] };
    vm = (await api.call('PUT', 'vms', { body })).body.vm_context_id;
    await api.call('POST', 'webhooks', { body: { name: 'told', url: 'http://127.0.0.1:9/' } });
    await api.call('POST', 'policies', { body: { name: 'lean', vms: [vm], keep: { last: 1 } } });
    api.fleet.work();
  });
  after(async () => {
    stop.abort();
    await api.fleet.stopWorking();
    await disk.remove();
    await api.close();
  });

  const backUp = async (): Promise<string> => {
    const body = { vm_name: 'web', repository_id: 'small', backup_type: 'full' };
    const answer = await api.call('POST', 'backups', { body });
    expect(answer.status, answer.text).to.equal(202);
    return answer.body.disk_results[0].backup_id;
  };
  const watch = async () => {
    const chore = createSpaceWatch(
      { ...api.fleet.accept, metrics: api.fleet.worker.metrics },
      { everyMs: 0, signal: stop.signal },
    );
    await chore.run();
    await chore.settled();
  };
  const events = async () => {
    const rows = await api.fleet.suite.ds.query<Pick<DueDelivery, 'type'>[]>(
      `SELECT type FROM outbox_events WHERE subject_id = ? ORDER BY created_at, id`,
      [repository],
    );
    return rows.map(({ type }) => type);
  };
  const until = async (what: string, done: () => Promise<boolean>) => {
    for (let tries = 0; !(await done()); tries++) {
      if (tries > 600) throw new Error(`Not within 30 s: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };

  it('lets backups wait, asks the policies early, before the backup that waits, and goes on', async () => {
    const kept: string[] = [];
    for (let each = 0; each < 3; each++) {
      const id = await backUp();
      expect(await api.fleet.ended(id)).to.include({ status: 'completed' });
      kept.push(id);
    }
    await disk.leave({ bytes: 25 * MIB });
    const waiting = await backUp();
    const behind = await backUp();
    await until('the backup waits for room', async () => {
      const { body } = await api.call('GET', `backups/${waiting}`);
      return body.status === 'released' && body.error?.code === 'no_space';
    });
    await retain(api.fleet.accept, 3_600_000);
    await watch();
    await watch();
    expect(await events()).to.deep.equal(['repository.low_space']);
    await retain(api.fleet.accept, 3_600_000);
    await until('the old points are gone', async () => {
      const { body } = await api.call('GET', `backups/${kept[0]}`);
      return body.status === 'expired';
    });
    for (const id of [waiting, behind]) {
      await until(`${id} has ended`, async () => {
        await api.fleet.sweep();
        await passDelays(api.fleet);
        await watch();
        await retain(api.fleet.accept, 0);
        const { body } = await api.call('GET', `backups/${id}`);
        return ['completed', 'failed', 'expired'].includes(body.status);
      });
    }
    const { body } = await api.call('GET', `backups/${behind}`);
    expect(body.status).to.equal('completed');
    const order = await api.fleet.suite.ds.query<{ id: string }[]>(
      'SELECT id FROM backup_jobs WHERE id IN (?, ?) ORDER BY seq',
      [waiting, behind],
    );
    expect(order.map(({ id }) => id)).to.deep.equal([waiting, behind]);
    await retain(api.fleet.accept, 0);
    await until('there is room again', async () => {
      await watch();
      return (await events()).at(-1) === 'repository.space_ok';
    });
  });
});
