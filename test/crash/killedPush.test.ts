import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob } from '../../src/entities/index.js';
import { isStrataError } from '../../src/shared/errors.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { type PushAgent, startPush } from '../helpers/pushAgent.js';
import { startWorkerProcess } from '../helpers/workerProcess.js';
import {
  completed,
  expectContent,
  listens,
  portsOf,
  serversOf,
  SIZE,
  until,
} from '../integration/services/backup/push/support.js';
import { namesBelow } from '../helpers/namesBelow.js';

const LEASE_MS = 1_500;
/** All points in the soak run; in the short one every so many, beginning anew each day of the month. */
const STRIDE = Number(process.env.STRATA_KILL_STRIDE ?? 14);

describe('A worker that is killed while an agent pushes', () => {
  let fleet: TestFleet;
  before(async () => {
    fleet = await openFleet({ lease: { leaseMs: LEASE_MS, renewEveryMs: 400 } });
  });
  after(() => fleet.close());

  /** What a patient agent does: writes all, completes, and begins anew whenever its export is over. */
  const pushAll = async (agent: PushAgent, content: Buffer): Promise<void> => {
    for (;;) {
      const { attempt } = await agent.opened();
      try {
        await agent.write((client) => client.write(0, content), attempt);
        await agent.complete({ change_id: 'c1', attempt });
        return;
      } catch (error) {
        if (
          !isStrataError(
            error,
            'push_attempt_over',
            'push_not_open',
            'push_unanswered',
            'nbd_connection_lost',
            'nbd_refused',
          )
        )
          throw error;
      }
    }
  };
  /** What the survivors do. */
  const recover = async () => {
    await fleet.accept.clock.sleep(LEASE_MS + 200);
    await fleet.sweep();
    fleet.work();
  };
  const nothingLeft = async () => {
    expect(await portsOf(fleet)).to.deep.equal([]);
    expect(await serversOf(fleet)).to.deep.equal([]);
    const names = await namesBelow(fleet.repositoryRoot);
    expect(names.filter((name) => name.endsWith('.partial'))).to.deep.equal([]);
  };

  it('in the middle takes its server along; the agent finds another export, and writes all of it again', async () => {
    const content = randomBytes(SIZE);
    const worker = startWorkerProcess(fleet, 'backup');
    const agent = await startPush(fleet, { vm_name: 'middle' });
    const open = await agent.opened();
    await agent.write((client) => client.write(0, content));
    worker.child.kill('SIGKILL');
    await worker.gone;
    await until('the server is gone', async () => (await serversOf(fleet)).length === 0);
    expect(await listens(open)).to.equal(false);
    await recover();
    expect((await agent.opened(2)).export_name).not.to.equal(open.export_name);
    await pushAll(agent, content);
    await completed(fleet, agent);
    await expectContent(fleet, agent.backupId, content);
    await fleet.stopWorking();
    await nothingLeft();
  });

  it('at any moment loses nothing that was accepted, and accepts nothing that is lost', async function () {
    const log = join(fleet.suite.tempDir, 'operations');
    const env = { STRATA_TEST_KILL_ROOT: fleet.repositoryRoot };
    const counted = startWorkerProcess(fleet, 'backup', {
      ...env,
      STRATA_TEST_KILL_AT: '0',
      STRATA_TEST_KILL_LOG: log,
    });
    const first = await startPush(fleet, { vm_name: 'counted' });
    await pushAll(first, randomBytes(SIZE));
    await completed(fleet, first);
    await counted.stop();
    const operations = (await readFile(log, 'utf8')).trim().split('\n');
    expect(operations.filter((line) => line.includes('push_exports'))).to.have.length.greaterThan(1);
    this.timeout(operations.length * 15_000);
    for (let at = 1 + (new Date().getDate() % STRIDE); at <= operations.length; at += STRIDE) {
      const where = operations[at - 1] ?? '';
      const content = randomBytes(SIZE);
      const worker = startWorkerProcess(fleet, 'backup', { ...env, STRATA_TEST_KILL_AT: String(at) });
      const agent = await startPush(fleet, { vm_name: `killed ${at}` });
      const pushed = pushAll(agent, content);
      await Promise.race([worker.gone, fleet.ended(agent.backupId)]);
      await recover();
      await pushed;
      const { attempts } = await completed(fleet, agent);
      expect(attempts, where).to.equal(1);
      await expectContent(fleet, agent.backupId, content);
      await worker.stop();
      await fleet.stopWorking();
    }
    const rows = await fleet.suite.ds.getRepository(BackupJob).find();
    expect(rows.every(({ status }) => status === 'completed')).to.equal(true);
    await nothingLeft();
  });
});
