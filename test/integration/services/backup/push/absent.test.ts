import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob } from '../../../../../src/entities/index.js';
import { acceptRestore } from '../../../../../src/producers/accept/index.js';
import { openFleet, type TestFleet } from '../../../../helpers/fleet.js';
import { passDelays } from '../../../../helpers/keeping.js';
import { startPush } from '../../../../helpers/pushAgent.js';
import { completed, listens, SIZE } from './support.js';

describe('A backup whose agent does not come', () => {
  let fleet: TestFleet;
  const disk = randomBytes(SIZE);
  before(async () => {
    fleet = await openFleet({ lease: { renewEveryMs: 400, leaseMs: 4_000 } });
    fleet.work(4);
  });
  after(() => fleet.close());
  const restore = async (backupId: string, name: string) => {
    const target = { type: 'file' as const, path: join(fleet.restores, name) };
    return (await acceptRestore(fleet.accept, { backup_id: backupId, target, format: 'raw' })).restore_id;
  };

  it('does not keep the chain from a restore, and is pushed by the agent that comes later', async () => {
    const first = await startPush(fleet);
    await first.write((client) => client.write(0, disk));
    await first.complete();
    await completed(fleet, first);
    fleet.services.push.patienceMs = 300;
    const absent = await startPush(fleet, { backup_type: 'incremental' });
    const before = await absent.opened();
    const restored = await restore(first.backupId, 'passed.raw');
    expect(await fleet.ended(restored)).to.include({ status: 'completed' });
    expect(await listens(before), 'the export was closed').to.equal(false);
    const { status, errorCode } = await fleet.suite.ds
      .getRepository(BackupJob)
      .findOneByOrFail({ id: absent.backupId });
    expect(status).to.be.oneOf(['released', 'queued', 'running']);
    expect(errorCode).to.equal('push_agent_awaited');
    await passDelays(fleet);
    await absent.write((client) => client.write(0, disk), 2);
    await absent.complete({ attempt: 2, backup_type: 'full' });
    expect((await completed(fleet, absent)).attempts).to.equal(1);
  });

  it('keeps the chain once the agent has connected or reported', async () => {
    fleet.services.push.patienceMs = 300;
    const reporting = await startPush(fleet);
    await reporting.opened();
    await reporting.progress(0);
    const [{ id: done } = { id: '' }] = await fleet.suite.ds.query<{ id: string }[]>(
      "SELECT id FROM backup_jobs WHERE status = 'completed' LIMIT 1",
    );
    const restored = await restore(done, 'behind.raw');
    await fleet.accept.clock.sleep(1_500);
    await reporting.write((client) => client.write(0, disk), 1);
    await reporting.complete();
    await completed(fleet, reporting);
    expect(await fleet.ended(restored)).to.include({ status: 'completed' });
  });
});
