import type { BackupAccepted } from '../../../../src/contract/index.js';
import { Queue, QueueEvents } from 'bullmq';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob } from '../../../../src/entities/index.js';
import { startIntake } from '../../../../src/producers/intake/startIntake.js';
import { intakeQueueName, queuePrefix } from '../../../../src/queue/catalogue.js';
import { connectRedis, type Redis } from '../../../../src/queue/connection.js';
import { makeDisk } from '../../../helpers/disks.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';

describe('The intake queue', () => {
  let fleet: TestFleet;
  let redis: Redis;
  let queue: Queue;
  let events: QueueEvents;
  let intake: { stop: () => Promise<void> };
  const name = intakeQueueName('default');
  const backup = () => ({
    vm_name: 'upstream',
    repository_id: 'main',
    backup_type: 'full',
    disks: [{ disk_id: 0, source: { type: 'file', path: join(fleet.sources, 'disk.raw'), format: 'raw' } }],
  });
  const put = async (payload: unknown): Promise<BackupAccepted> => {
    const entry = await queue.add('backup', payload);
    return (await entry.waitUntilFinished(events, 20_000)) as BackupAccepted;
  };
  const refusal = (payload: unknown) =>
    put(payload).then(
      () => 'accepted',
      (error: Error) => error.message,
    );

  before(async () => {
    fleet = await openFleet();
    await makeDisk(join(fleet.sources, 'disk.raw'), 1024 * 1024, [[0, 5000]]);
    redis = connectRedis({ url: fleet.suite.redisUrl }, { use: 'worker', onError: () => undefined });
    const connection = { connection: redis, prefix: queuePrefix(fleet.suite.queuePrefix, name) };
    queue = new Queue(name, connection);
    events = new QueueEvents(name, connection);
    intake = startIntake(fleet.accept, { redis, redisPrefix: fleet.suite.queuePrefix, pools: ['default'] });
  });
  after(async () => {
    await intake.stop();
    await events.close();
    await queue.close();
    redis.disconnect();
    await fleet.close();
  });

  it('takes what an upstream puts there, and answers as the API does', async () => {
    fleet.work();
    const answer = await put({ v: 1, backup: backup() });
    expect(answer).to.include({ status: 'pending' });
    expect((await fleet.ended(answer.disk_results[0]?.backup_id ?? '')).status).to.equal('completed');
  });

  it('takes one request that is put there five times once', async () => {
    const payload = { v: 1, idempotency_key: 'nightly-42', backup: backup() };
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => put(payload)));
    expect(new Set(answers.map(({ restore_point_id }) => restore_point_id)).size).to.equal(1);
  });

  it('refuses what it does not understand with the field, and accepts nothing', async () => {
    const before = await fleet.suite.ds.getRepository(BackupJob).count();
    expect(await refusal({ v: 2, backup: backup() })).to.contain('v must be 1');
    expect(await refusal(null)).to.contain('invalid_request');
    expect(await refusal({ v: 1, backup: { ...backup(), vm_name: 7 } })).to.contain('backup.vm_name');
    expect(await refusal({ v: 1, backup: { ...backup(), vm_name: 'two\nlines' } })).to.contain('vm_name');
    expect(await refusal({ v: 1, extra: 1, backup: backup() })).to.contain('extra');
    expect(await fleet.suite.ds.getRepository(BackupJob).count()).to.equal(before);
  });
});
