import { createServer } from 'node:net';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { connectNbd } from '../../../../../src/datapath/nbd/index.js';
import type { ChainLease } from '../../../../../src/db/job/lease.js';
import { releasePort, takePort } from '../../../../../src/db/push/ports.js';
import { BackupJob } from '../../../../../src/entities/index.js';
import { cancel } from '../../../../../src/producers/accept/index.js';
import { codeOf } from '../../../../helpers/codeOf.js';
import { openFleet, type TestFleet } from '../../../../helpers/fleet.js';
import { type PushAgent, startPush } from '../../../../helpers/pushAgent.js';
import { completed, expectContent, listens, portsOf, serversOf, SIZE, until } from './support.js';
import { namesBelow } from '../../../../helpers/namesBelow.js';

describe('A push export', () => {
  let fleet: TestFleet;
  const disk = randomBytes(SIZE);
  before(async () => {
    fleet = await openFleet({ lease: { renewEveryMs: 400, leaseMs: 4_000, maxAttempts: 3 } });
    fleet.work(4);
  });
  after(() => fleet.close());
  const rules = () => fleet.services.push;
  const row = (id: string) => fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
  const writeAll = (agent: PushAgent, attempt?: number) =>
    agent.write((client) => client.write(0, disk), attempt);
  const files = async () => {
    const names = await namesBelow(fleet.repositoryRoot);
    return names.filter((name) => name.endsWith('.partial'));
  };
  const nothingLeft = async () => {
    await until('all ports are free', async () => (await portsOf(fleet)).length === 0);
    expect(await serversOf(fleet)).to.deep.equal([]);
    expect(await files()).to.deep.equal([]);
  };

  it('lesson 31: fails when its agent is silent for too long, and neither before nor when the agent lives', async () => {
    const patient = { ...rules() };
    rules().silenceMs = 1_200;
    try {
      const silent = await startPush(fleet, { vm_name: 'silent' });
      const next = await startPush(fleet, { vm_name: 'silent' });
      const open = await silent.opened();
      const began = performance.now();
      const end = await fleet.ended(silent.backupId);
      expect(performance.now() - began).to.be.within(900, 8_000);
      expect(end.error_code).to.equal('push_agent_silent');
      expect(await listens(open)).to.equal(false);
      // The one that follows lives by its reports alone, then by its bytes alone, for longer than the limit each.
      await next.opened();
      for (let i = 0; i < 6; i++) {
        await next.progress(i);
        await fleet.accept.clock.sleep(300);
      }
      await next.write(async (client) => {
        for (let i = 0; i < 6; i++) {
          await client.write(i * 512, disk.subarray(i * 512, (i + 1) * 512));
          await fleet.accept.clock.sleep(300);
        }
        await client.write(0, disk);
      });
      await next.complete();
      await completed(fleet, next);
      const hung = await startPush(fleet, { vm_name: 'silent' });
      const client = await connectNbd((await hung.opened()).uri);
      await client.write(0, disk);
      expect((await fleet.ended(hung.backupId)).error_code, 'connected, but silent').to.equal(
        'push_agent_silent',
      );
      expect(await codeOf(client.write(0, disk))).to.equal('nbd_connection_lost');
    } finally {
      rules().silenceMs = patient.silenceMs;
    }
    await nothingLeft();
  });

  it('lesson 30: gives its port back when its server crashes, and begins anew under another name', async () => {
    const agent = await startPush(fleet, { vm_name: 'crash' });
    const before = await agent.opened();
    await writeAll(agent);
    for (const pid of await serversOf(fleet)) process.kill(pid, 'SIGKILL');
    const after = await agent.opened(2);
    expect(after.attempt).to.equal(2);
    expect(after.export_name).not.to.equal(before.export_name);
    expect(await portsOf(fleet)).to.have.length(1);
    expect(await codeOf(connectNbd(before.uri))).to.be.oneOf(['nbd_refused', 'nbd_connection_lost']);
    // What it wrote is gone: an agent that has not noticed must not complete the empty export.
    for (const said of [{}, { attempt: 1 }]) {
      expect(await codeOf(agent.complete({ change_id: 'c1', ...said }))).to.equal('push_attempt_over');
    }
    await writeAll(agent, 2);
    await agent.complete({ change_id: 'c1', attempt: 2 });
    await completed(fleet, agent);
    await expectContent(fleet, agent.backupId, disk);
    await nothingLeft();
  });

  it('lesson 29: releases a port once: whoever releases it again does not free what another has', async () => {
    const { ds } = fleet.suite;
    const one = await startPush(fleet, { vm_name: 'one' });
    const other = await startPush(fleet, { vm_name: 'other' });
    await Promise.all([one.opened(), other.opened()]);
    const leaseOf = async ({ backupId }: PushAgent): Promise<ChainLease> => {
      const { fence, chainId, repositoryId } = await row(backupId);
      const ofNobody = { kind: 'backup' as const, owner: 'test', attempt: 1, deaths: 0, failedBefore: false };
      return { ...ofNobody, chainId, repositoryId, jobId: backupId, fence: fence ?? 0 };
    };
    const [first, second] = [await leaseOf(one), await leaseOf(other)];
    const range = { first: 1, last: 1 };
    const take = (lease: ChainLease) => takePort(ds, lease, 'elsewhere', range, new Set());
    expect(await take(first)).to.equal(1);
    expect(await take(second)).to.equal(undefined);
    await releasePort(ds, first, 'elsewhere', 1);
    expect(await take(second)).to.equal(1);
    await releasePort(ds, first, 'elsewhere', 1);
    expect(await take(first), 'still the second one has it').to.equal(undefined);
    // A holder whose lease is over holds nothing, without anybody having released it.
    await cancel(fleet.accept, other.backupId);
    await fleet.ended(other.backupId);
    expect(await take(first)).to.equal(1);
    await releasePort(ds, first, 'elsewhere', 1);
    await cancel(fleet.accept, one.backupId);
    await fleet.ended(one.backupId);
    await nothingLeft();
  });

  it('waits for a port where all are taken, passes over those of other programs, and fails for neither', async () => {
    const ports = rules().ports;
    const foreign = createServer().listen(ports.first, '127.0.0.1');
    await once(foreign, 'listening');
    rules().ports = { first: ports.first, last: ports.first + 1 };
    try {
      const one = await startPush(fleet, { vm_name: 'one' });
      const open = await one.opened();
      expect(open.port).to.equal(ports.first + 1);
      const other = await startPush(fleet, { vm_name: 'other' });
      await until(
        'the second one waits',
        async () => (await row(other.backupId)).errorCode === 'push_ports_exhausted',
      );
      expect((await row(other.backupId)).status).to.be.oneOf(['released', 'running']);
      await writeAll(one);
      await one.complete();
      await completed(fleet, one);
      expect((await other.opened()).port).to.equal(open.port);
      await writeAll(other);
      await other.complete();
      expect((await completed(fleet, other)).attempts).to.equal(1);
    } finally {
      rules().ports = ports;
      foreign.close();
    }
    await nothingLeft();
  });

  it('is closed at once when the backup is cancelled', async () => {
    const agent = await startPush(fleet, { vm_name: 'cancelled' });
    const open = await agent.opened();
    const client = await connectNbd(open.uri);
    await client.write(0, disk);
    await cancel(fleet.accept, agent.backupId);
    expect((await fleet.ended(agent.backupId)).status).to.equal('cancelled');
    expect(await codeOf(client.write(0, disk))).to.equal('nbd_connection_lost');
    expect(await listens(open)).to.equal(false);
    await nothingLeft();
  });
});
