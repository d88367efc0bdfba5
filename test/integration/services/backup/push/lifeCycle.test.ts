import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { connectNbd } from '../../../../../src/datapath/nbd/index.js';
import { BackupJob } from '../../../../../src/entities/index.js';
import { makeCertificates } from '../../../../helpers/certificates.js';
import { codeOf } from '../../../../helpers/codeOf.js';
import { openFleet, type TestFleet } from '../../../../helpers/fleet.js';
import { type PushAgent, startPush } from '../../../../helpers/pushAgent.js';
import { runTool } from '../../../../helpers/runTool.js';
import { placeOf } from '../../validation/deep/places.js';
import { flip } from '../../validation/faultTools.js';
import { validate } from '../../validation/support.js';
import { completed, expectContent, listens, portsOf, serversOf, SIZE, until } from './support.js';

describe('The life of a push export', () => {
  let fleet: TestFleet;
  let folder: string;
  const disk = randomBytes(SIZE);
  const path = () => join(fleet.sources, 'disk.raw');
  before(async () => {
    fleet = await openFleet();
    folder = await mkdtemp(join(tmpdir(), 'agents-'));
    await writeFile(path(), disk);
    fleet.work(4);
  });
  after(async () => {
    await fleet.close();
    await rm(folder, { recursive: true, force: true });
  });
  const row = (id: string) => fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
  const writeAll = (agent: PushAgent, attempt?: number) =>
    agent.write((client) => client.write(0, disk), attempt);

  it('lesson 8: has flushed, ended and given back its port before anything is accepted, let alone completed', async () => {
    const agent = await startPush(fleet, { vm_name: 'eight' });
    const open = await agent.opened();
    await writeAll(agent);
    const [server] = await serversOf(fleet);
    if (server === undefined) throw new Error('There is no server.');
    process.kill(server, 'SIGSTOP');
    const answer = agent.complete({ change_id: 'c1' });
    await fleet.accept.clock.sleep(1_500);
    // Its last flush cannot be done: nobody is told anything, and nobody gets in any more.
    expect(await Promise.race([answer, Promise.resolve('no answer yet')])).to.equal('no answer yet');
    expect((await row(agent.backupId)).status).to.equal('running');
    expect(await codeOf(connectNbd(open.uri, { connectTimeoutMs: 1000 }))).to.equal('nbd_connection_lost');
    process.kill(server, 'SIGCONT');
    expect((await answer).state).to.equal('accepted');
    expect(await serversOf(fleet)).to.deep.equal([]);
    expect(await listens(open)).to.equal(false);
    await completed(fleet, agent);
    await expectContent(fleet, agent.backupId, disk);
  });

  it('lesson 18: begins only when the backup before has ended: nothing stands on an image that is being written', async () => {
    const first = await startPush(fleet, { vm_name: 'eighteen' });
    const second = await startPush(
      fleet,
      { vm_name: 'eighteen', backup_type: 'incremental' },
      { since_change_id: 'c1' },
    );
    await first.opened();
    expect(await codeOf(second.complete())).to.equal('push_not_open');
    expect((await row(second.backupId)).status).to.equal('queued');
    expect(await portsOf(fleet)).to.have.length(1);
    await writeAll(first);
    await first.complete({ change_id: 'c1' });
    expect(await second.opened()).to.deep.include({
      backup_type: 'incremental',
      parent_backup_id: first.backupId,
    });
    expect((await row(first.backupId)).status).to.equal('completed');
    await second.write((client) => client.write(0, Buffer.alloc(512, 1)));
    await second.complete({ change_id: 'c2' });
    await completed(fleet, second);
    await expectContent(fleet, second.backupId, Buffer.concat([Buffer.alloc(512, 1), disk.subarray(512)]));
  });

  it('ends with its worker, which hands the backup back: the next one opens another', async () => {
    const agent = await startPush(fleet, { vm_name: 'handed' });
    const before = await agent.opened();
    const client = await connectNbd(before.uri);
    await client.write(0, disk);
    await fleet.stopWorking(0);
    expect(await codeOf(client.write(0, disk))).to.equal('nbd_connection_lost');
    expect(await row(agent.backupId)).to.deep.include({ status: 'released', attempts: 0 });
    expect(await portsOf(fleet)).to.deep.equal([]);
    expect(await codeOf(agent.complete())).to.equal('push_not_open');
    fleet.work(4);
    expect(await agent.opened()).to.deep.include({ attempt: 2 });
    await writeAll(agent, 2);
    await agent.complete({ attempt: 2 });
    expect((await completed(fleet, agent)).attempts).to.equal(1);
    await expectContent(fleet, agent.backupId, disk);
  });

  it('may be on a unix socket', async () => {
    fleet.services.push.socketDir = folder;
    try {
      const agent = await startPush(fleet, { vm_name: 'socket' });
      const open = await agent.opened();
      expect(open).to.deep.include({ host: null, port: null, tls: 'none' });
      expect(open.socket).to.match(/^\/.*\.sock$/);
      await runTool('nbdcopy', path(), open.uri);
      await agent.complete();
      await completed(fleet, agent);
      await expectContent(fleet, agent.backupId, disk);
      expect((await readdir(folder)).filter((name) => name.endsWith('.sock'))).to.deep.equal([]);
    } finally {
      fleet.services.push.socketDir = undefined;
    }
  });

  it('may ask for a pre-shared key, or for a certificate, and lets nobody in without', async () => {
    await makeCertificates(folder);
    await writeFile(join(folder, 'keys.psk'), `alice:${'0123456789abcdef'.repeat(4)}\n`);
    const { push } = fleet.services;
    push.tlsDir = folder;
    try {
      for (const tls of ['psk', 'x509'] as const) {
        push.tls = tls;
        const agent = await startPush(fleet, { vm_name: `tls ${tls}` });
        const open = await agent.opened();
        expect(open.tls).to.equal(tls);
        expect(open.uri).to.match(/^nbds:\/\//);
        expect(await codeOf(connectNbd(open.uri.replace('nbds', 'nbd')))).to.equal('nbd_refused');
        const ca = await readFile(join(folder, 'ca-cert.pem'));
        expect(await codeOf(connectNbd(open.uri, { tls: { ca } }))).to.equal('nbd_connection_lost');
        const known =
          tls === 'psk'
            ? `${open.uri.replace('//', '//alice@')}?tls-psk-file=${join(folder, 'keys.psk')}`
            : `${open.uri}?tls-certificates=${folder}`;
        await runTool('nbdcopy', path(), known);
        await agent.complete();
        await completed(fleet, agent);
        await expectContent(fleet, agent.backupId, disk);
      }
    } finally {
      push.tls = 'none';
    }
  });

  it('fails its backup, and says why, where its keys are missing', async () => {
    fleet.services.push.tls = 'psk';
    fleet.services.push.tlsDir = join(folder, 'nowhere');
    try {
      const agent = await startPush(fleet, { vm_name: 'keyless' });
      expect(await fleet.ended(agent.backupId)).to.deep.include({ error_code: 'invalid_configuration' });
    } finally {
      fleet.services.push.tls = 'none';
    }
    await until('nothing is left', async () => (await portsOf(fleet)).length === 0);
  });

  it('is that of a full, from the start, where the parent cannot be read any more', async () => {
    const first = await startPush(fleet, { vm_name: 'broken' });
    await writeAll(first);
    await first.complete({ change_id: 'c1' });
    const { repositoryPath } = await completed(fleet, first);
    await rm(join(fleet.repositoryRoot, (repositoryPath ?? '').replace('.qcow2', '.digests')));
    const second = await startPush(
      fleet,
      { vm_name: 'broken', backup_type: 'incremental' },
      { since_change_id: 'c1' },
    );
    expect(await second.opened()).to.deep.include({
      backup_type: 'full',
      demoted_reason: 'parent_unreadable',
    });
    await writeAll(second);
    await second.complete({ backup_type: 'full' });
    await completed(fleet, second);
    await expectContent(fleet, second.backupId, disk);
  });

  it('is that of a full, from the start, where the parent is damaged or cannot be read: nobody can be asked for blocks', async () => {
    for (const [health, demoted_reason] of [
      ['damaged', 'parent_damaged'],
      ['suspect', 'parent_suspect'],
    ] as const) {
      const first = await startPush(fleet, { vm_name: health });
      await writeAll(first);
      await first.complete({ change_id: 'c1' });
      const parent = await completed(fleet, first);
      const image = join(fleet.repositoryRoot, parent.repositoryPath ?? '');
      await flip(image, await placeOf(image, 5));
      await validate(fleet.suite.ds, parent, { level: 'deep' });
      expect(await row(first.backupId)).to.include({ health: 'damaged', damageLocated: true });
      // As a deep validation leaves a file whose disk does not give the same block.
      await fleet.suite.ds.query('UPDATE backup_jobs SET health = ? WHERE id = ?', [health, first.backupId]);
      const ask = { vm_name: health, backup_type: 'incremental' as const };
      const second = await startPush(fleet, ask, { since_change_id: 'c1' });
      expect(await second.opened()).to.deep.include({ backup_type: 'full', demoted_reason });
      await writeAll(second);
      await second.complete({ backup_type: 'full' });
      await completed(fleet, second);
      await expectContent(fleet, second.backupId, disk);
    }
  });
});
