import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { expect } from 'chai';
import { connectNbd } from '../../../../../src/datapath/nbd/index.js';
import { BackupChain, BackupJob } from '../../../../../src/entities/index.js';
import { makeDisk } from '../../../../helpers/disks.js';
import { codeOf } from '../../../../helpers/codeOf.js';
import { openFleet, type TestFleet } from '../../../../helpers/fleet.js';
import { agentOf, type PushAgent, startPush } from '../../../../helpers/pushAgent.js';
import { completed, expectContent, portsOf, serversOf, SIZE } from './support.js';

describe('The completion of a pushed backup', () => {
  let fleet: TestFleet;
  const disk = randomBytes(SIZE);
  before(async () => {
    fleet = await openFleet({ lease: { renewEveryMs: 400, leaseMs: 4_000 } });
    fleet.work(4);
  });
  after(() => fleet.close());
  const writeAll = (agent: PushAgent) => agent.write((client) => client.write(0, disk));

  it('lesson 10: counts once, however often it is called, and ends the backup that it names and no other', async () => {
    const agent = await startPush(fleet, { vm_name: 'ten' });
    const next = await startPush(fleet, { vm_name: 'ten' });
    await writeAll(agent);
    const said = { change_id: 'c1', bytes_transferred: SIZE };
    const answers = await Promise.all(Array.from({ length: 5 }, () => agent.complete(said)));
    answers.push(await agent.complete(said));
    const { chainId } = await completed(fleet, agent);
    answers.push(await agent.complete(said));
    for (const answer of answers) {
      expect(answer).to.deep.include({ id: agent.backupId, state: 'accepted', attempt: 1 });
    }
    expect(await codeOf(agent.complete({ ...said, change_id: 'c2' }))).to.equal('push_change_id_differs');
    const chain = await fleet.suite.ds.getRepository(BackupChain).findOneByOrFail({ id: chainId });
    expect(chain).to.deep.include({ totalBackups: 1, latestBackupId: agent.backupId });
    const waiting = await fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id: next.backupId });
    expect(waiting.status).to.be.oneOf(['queued', 'released', 'running']);
    await writeAll(next);
    expect(await codeOf(next.complete({ change_id: 'c1', disk_id: 1 }))).to.equal('push_wrong_disk');
    await next.complete({ change_id: 'c2' });
    await completed(fleet, next);
  });

  it('is refused while somebody is connected, and accepted when all have closed', async () => {
    const agent = await startPush(fleet, { vm_name: 'connected' });
    const client = await connectNbd((await agent.opened()).uri);
    await client.write(0, disk.subarray(0, SIZE / 2));
    expect(await codeOf(agent.complete({ change_id: 'c1' }))).to.equal('push_connected');
    await client.write(SIZE / 2, disk.subarray(SIZE / 2));
    expect(await codeOf(agent.complete({ change_id: 'c1' }))).to.equal('push_connected');
    await client.close();
    await agent.complete({ change_id: 'c1' });
    await completed(fleet, agent);
    await expectContent(fleet, agent.backupId, disk);
  });

  it('lesson 1: is refused from an agent that does not know that its increment became a full', async () => {
    const agent = await startPush(
      fleet,
      { vm_name: 'demoted', backup_type: 'incremental' },
      { since_change_id: 'x' },
    );
    await agent.write((client) => client.write(0, disk.subarray(0, 512)));
    for (const said of [{}, { backup_type: 'incremental' as const }]) {
      expect(await codeOf(agent.complete({ change_id: 'c1', ...said }))).to.equal('push_type_differs');
    }
    await writeAll(agent);
    await agent.complete({ change_id: 'c1', backup_type: 'full' });
    await completed(fleet, agent);
    await expectContent(fleet, agent.backupId, disk);
  });

  it('is refused for a full that nobody has written', async () => {
    const agent = await startPush(fleet, { vm_name: 'empty' });
    await agent.opened();
    for (const bytes_transferred of [0, SIZE]) {
      expect(await codeOf(agent.complete({ bytes_transferred }))).to.equal('push_nothing_written');
    }
    await writeAll(agent);
    await agent.complete();
    expect((await completed(fleet, agent)).changeId).to.equal(null);
  });

  it('keeps to the change id of the request', async () => {
    const agent = await startPush(fleet, { vm_name: 'stated' }, { change_id: 'r1' });
    await writeAll(agent);
    expect(await codeOf(agent.complete({ change_id: 'c1' }))).to.equal('push_change_id_differs');
    await agent.complete();
    expect((await completed(fleet, agent)).changeId).to.equal('r1');
  });

  it('is not open before the export is, and not for backups that nobody pushes or that there are not', async () => {
    await fleet.stopWorking();
    const agent = await startPush(fleet, { vm_name: 'early' });
    expect(await codeOf(agent.complete())).to.equal('push_not_open');
    expect(await codeOf(agent.progress(1))).to.equal('push_not_open');
    fleet.work(4);
    await agent.opened();
    await agent.fail('enough');
    await fleet.ended(agent.backupId);
    const path = join(fleet.sources, 'disk.raw');
    await makeDisk(path, SIZE, []);
    const source = { type: 'file' as const, path, format: 'raw' as const };
    const pulled = await startPush(fleet, { vm_name: 'pulled' }, { source });
    for (const word of [() => pulled.complete(), () => pulled.progress(1), () => pulled.fail('x')]) {
      expect(await codeOf(word())).to.equal('wrong_state');
    }
    const nobody = agentOf(fleet, 'bkp_0');
    for (const word of [() => nobody.complete(), () => nobody.progress(1), () => nobody.fail('x')]) {
      expect(await codeOf(word())).to.equal('not_found');
    }
    await fleet.ended(pulled.backupId);
  });

  it('is not to be had any more when the agent has failed: its backup fails, and the next one runs', async () => {
    const agent = await startPush(fleet, { vm_name: 'failing' });
    const next = await startPush(fleet, { vm_name: 'failing' });
    await agent.write((client) => client.write(0, disk.subarray(0, 100_000)));
    for (let i = 0; i < 2; i++) {
      expect(await agent.fail('the snapshot is gone')).to.deep.include({ id: agent.backupId });
    }
    const end = await fleet.ended(agent.backupId);
    expect(end).to.deep.include({ status: 'failed', error_code: 'push_agent_failed' });
    expect(end.error_detail).to.contain('the snapshot is gone');
    expect(await codeOf(agent.complete())).to.equal('wrong_state');
    expect((await agent.fail('again')).status).to.equal('failed');
    expect((await next.opened()).attempt).to.equal(1);
    expect((await portsOf(fleet)).map(({ backup_id }) => backup_id)).to.include(next.backupId);
    expect((await portsOf(fleet)).map(({ backup_id }) => backup_id)).not.to.include(agent.backupId);
    await writeAll(next);
    await next.complete();
    await completed(fleet, next);
    expect(await codeOf(next.fail('too late'))).to.equal('wrong_state');
  });

  it('shows how far the agent is, and tells it that somebody has cancelled', async () => {
    const agent = await startPush(fleet, { vm_name: 'progress' });
    await agent.opened();
    expect(await agent.progress(1234)).to.deep.include({
      status: 'running',
      state: 'open',
      cancel_requested: false,
    });
    const shown = async () =>
      (await fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id: agent.backupId })).progress;
    for (let i = 0; i < 100 && (await shown())?.bytes_done !== 1234; i++) await fleet.accept.clock.sleep(50);
    expect(await shown()).to.deep.include({ phase: 'waiting_for_agent', bytes_done: 1234 });
    await fleet.suite.ds.query('UPDATE backup_jobs SET cancel_requested = 1 WHERE id = ?', [agent.backupId]);
    expect((await agent.progress(2000)).cancel_requested).to.equal(true);
    expect((await fleet.ended(agent.backupId)).status).to.equal('cancelled');
    expect(await codeOf(agent.progress(3000))).to.equal('wrong_state');
  });

  it('leaves no port taken and no server running', async () => {
    expect(await portsOf(fleet)).to.deep.equal([]);
    expect(await serversOf(fleet)).to.deep.equal([]);
  });
});
