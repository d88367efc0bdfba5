import { randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { connectNbd } from '../../../../../src/datapath/nbd/index.js';
import { openFleet, type TestFleet } from '../../../../helpers/fleet.js';
import { startPush } from '../../../../helpers/pushAgent.js';
import { runTool } from '../../../../helpers/runTool.js';
import { completed, expectContent, MIB, SIZE, sha256 } from './support.js';

describe('A pushed backup', () => {
  let fleet: TestFleet;
  let disk = randomBytes(SIZE);
  before(async () => {
    fleet = await openFleet();
    fleet.work(4);
  });
  after(() => fleet.close());
  const path = () => join(fleet.sources, 'disk.raw');

  it('is a full of all that nbdcopy wrote, with the change id of the completion', async () => {
    const agent = await startPush(fleet);
    const open = await agent.opened();
    expect(open).to.deep.include({
      attempt: 1,
      backup_type: 'full',
      since_change_id: null,
      virtual_size: SIZE,
    });
    await writeFile(path(), disk);
    await runTool('nbdcopy', path(), open.uri);
    const answer = await agent.complete({ change_id: 'c1', bytes_transferred: SIZE });
    expect(answer).to.deep.include({ state: 'accepted', attempt: 1, cancel_requested: false });
    expect(await completed(fleet, agent)).to.deep.include({
      backupType: 'full',
      changeId: 'c1',
      bytesTransferred: SIZE,
      virtualSize: SIZE,
    });
    await expectContent(fleet, agent.backupId, disk);
  });

  it('is an increment of the changes that the agent wrote onto what was there', async () => {
    const agent = await startPush(fleet, { backup_type: 'incremental' }, { since_change_id: 'c1' });
    const open = await agent.opened();
    expect(open).to.deep.include({ backup_type: 'incremental', since_change_id: 'c1', demoted_reason: null });
    randomBytes(1000).copy(disk, 100_000);
    disk.fill(0, MIB, MIB + 65536);
    await agent.write(async (client) => {
      expect(sha256(await client.read(200_000, 1000))).to.equal(sha256(disk.subarray(200_000, 201_000)));
      await client.write(100_000, disk.subarray(100_000, 101_000));
      await client.writeZeroes(MIB, 65536);
    });
    await agent.complete({ change_id: 'c2', bytes_transferred: 1000 });
    const found = await completed(fleet, agent);
    expect(found).to.deep.include({ backupType: 'incremental', changeId: 'c2', demotedReason: null });
    expect(found.sizeBytes).to.be.lessThan(MIB);
    await expectContent(fleet, agent.backupId, disk);
    const names = await readdir(join(fleet.repositoryRoot, found.repositoryPath ?? '', '..'));
    expect(names).to.have.length(6);
    expect(names.filter((name) => name.startsWith('.'))).to.deep.equal([]);
  });

  it('is right whatever an agent does that calls itself incremental', async () => {
    const agent = await startPush(fleet, { backup_type: 'incremental' }, { since_change_id: 'c2' });
    const { uri } = await agent.opened();
    disk.fill(0);
    randomBytes(2 * MIB).copy(disk, 12_345);
    await writeFile(path(), disk);
    // Everything, twice, by different tools; then trims, zeros as data, and attempts beyond the end.
    await runTool('qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw', path(), uri);
    await runTool('nbdcopy', '--destination-is-zero', path(), uri);
    const client = await connectNbd(uri);
    await client.trim(3 * MIB, 65536);
    disk.fill(0, 0, 70_000);
    await client.write(0, Buffer.alloc(70_000));
    const beyond = [client.write(SIZE, Buffer.alloc(512)), client.writeZeroes(SIZE - 512, 1024)];
    for (const { status } of await Promise.allSettled(beyond)) expect(status).to.equal('rejected');
    await client.close();
    await agent.complete({ change_id: 'c3', bytes_transferred: SIZE });
    expect((await completed(fleet, agent)).backupType).to.equal('incremental');
    await expectContent(fleet, agent.backupId, disk);
  });

  it('takes several connections that write side by side', async () => {
    const agent = await startPush(fleet, { backup_type: 'incremental' }, { since_change_id: 'c3' });
    const { uri } = await agent.opened();
    disk = randomBytes(SIZE);
    const clients = await Promise.all(Array.from({ length: 4 }, () => connectNbd(uri)));
    await Promise.all(
      clients.map(async (client, index) => {
        await client.write(index * MIB, disk.subarray(index * MIB, (index + 1) * MIB));
        await client.close();
      }),
    );
    await agent.complete({ change_id: 'c4', bytes_transferred: SIZE });
    await completed(fleet, agent);
    await expectContent(fleet, agent.backupId, disk);
  });

  it('grows with the disk, also where the old end was in the middle of a block', async () => {
    for (const [round, more] of [512, 100_352, 65536].entries()) {
      const size = disk.length + more;
      const agent = await startPush(
        fleet,
        { backup_type: 'incremental' },
        { since_change_id: `c${4 + round}`, virtual_size: size },
      );
      const grown = Buffer.alloc(size);
      disk.copy(grown);
      randomBytes(100).copy(grown, size - 200);
      await agent.write((client) => client.write(size - 200, grown.subarray(size - 200, size - 100)));
      await agent.complete({ change_id: `c${5 + round}` });
      expect(await completed(fleet, agent)).to.deep.include({ backupType: 'incremental', virtualSize: size });
      disk = grown;
      await expectContent(fleet, agent.backupId, disk);
    }
  });

  it('is a differential of the changes since the full, if it is asked for that', async () => {
    const agent = await startPush(
      fleet,
      { backup_type: 'differential' },
      { since_change_id: 'c1', virtual_size: disk.length },
    );
    expect(await agent.opened()).to.deep.include({ backup_type: 'differential', since_change_id: 'c1' });
    await agent.write((client) => client.write(0, disk));
    await agent.complete({ change_id: 'c9' });
    await completed(fleet, agent);
    await expectContent(fleet, agent.backupId, disk);
  });

  it('may be empty, where nothing has changed and nobody has connected', async () => {
    const agent = await startPush(
      fleet,
      { backup_type: 'incremental' },
      { since_change_id: 'c9', virtual_size: disk.length },
    );
    await agent.opened();
    await agent.complete({ change_id: 'c10', bytes_transferred: 0 });
    expect(await completed(fleet, agent)).to.deep.include({ backupType: 'incremental', bytesTransferred: 0 });
    await expectContent(fleet, agent.backupId, disk);
  });

  it('becomes a full where its changes do not belong to the parent: the agent learns it before it writes', async () => {
    for (const since of ['c8', undefined]) {
      const known = since === undefined ? {} : { since_change_id: since };
      const agent = await startPush(
        fleet,
        { backup_type: 'incremental' },
        { ...known, virtual_size: disk.length },
      );
      const reason = since === undefined ? 'change_id_missing' : 'change_id_mismatch';
      expect(await agent.opened()).to.deep.include({
        backup_type: 'full',
        demoted_reason: reason,
        since_change_id: null,
        parent_backup_id: null,
      });
      await agent.write((client) => client.write(0, disk));
      await agent.complete({ change_id: 'c11', backup_type: 'full' });
      expect(await completed(fleet, agent)).to.deep.include({ backupType: 'full', demotedReason: reason });
      await expectContent(fleet, agent.backupId, disk);
    }
  });
});
