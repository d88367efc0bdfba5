import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob } from '../../../../src/entities/index.js';
import { acceptRestore } from '../../../../src/producers/accept/index.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';
import { type PushAgent, startPush } from '../../../helpers/pushAgent.js';
import { runTool } from '../../../helpers/runTool.js';

const MIB = 1024 * 1024;
const SIZE = 4 * MIB;

describe('A pushed backup', () => {
  let fleet: TestFleet;
  const disk = randomBytes(SIZE);
  before(async () => {
    fleet = await openFleet();
    fleet.work(4);
  });
  after(() => fleet.close());

  const row = (id: string) => fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
  const completed = async ({ backupId }: PushAgent) => {
    const end = await fleet.ended(backupId);
    expect(end.status, `${end.error_code} ${end.error_detail}`).to.equal('completed');
    return row(backupId);
  };
  const restored = async (id: string): Promise<string> => {
    const path = join(fleet.restores, `${id}.raw`);
    const target = { type: 'file' as const, path };
    const { restore_id } = await acceptRestore(fleet.accept, { backup_id: id, target, format: 'raw' });
    const end = await fleet.ended(restore_id);
    expect(end.status, end.error_detail ?? '').to.equal('completed');
    return sha256(await readFile(path));
  };

  it('is a full of all that nbdcopy wrote, with the change id of the completion', async () => {
    const agent = await startPush(fleet);
    const open = await agent.opened();
    expect(open).to.deep.include({
      attempt: 1,
      backup_type: 'full',
      since_change_id: null,
      virtual_size: SIZE,
    });
    const path = join(fleet.sources, 'disk.raw');
    await writeFile(path, disk);
    await runTool('nbdcopy', path, open.uri);
    const answer = await agent.complete({ change_id: 'c1', bytes_transferred: SIZE });
    expect(answer).to.deep.include({ state: 'accepted', attempt: 1, cancel_requested: false });
    const found = await completed(agent);
    expect(found).to.deep.include({
      backupType: 'full',
      changeId: 'c1',
      bytesTransferred: SIZE,
      virtualSize: SIZE,
    });
    expect(await restored(agent.backupId)).to.equal(sha256(disk));
  });

  it('is an increment of the changes that the agent wrote onto what was there', async () => {
    const agent = await startPush(fleet, { backup_type: 'incremental' }, { since_change_id: 'c1' });
    expect(await agent.opened()).to.deep.include({ backup_type: 'incremental', since_change_id: 'c1' });
    randomBytes(1000).copy(disk, 100_000);
    disk.fill(0, MIB, MIB + 65536);
    await agent.write(async (client) => {
      expect(sha256(await client.read(200_000, 1000))).to.equal(sha256(disk.subarray(200_000, 201_000)));
      await client.write(100_000, disk.subarray(100_000, 101_000));
      await client.writeZeroes(MIB, 65536);
    });
    await agent.complete({ change_id: 'c2', bytes_transferred: 1000 });
    const found = await completed(agent);
    expect(found).to.deep.include({ backupType: 'incremental', changeId: 'c2', demotedReason: null });
    expect(await restored(agent.backupId)).to.equal(sha256(disk));
    const names = await readdir(join(fleet.repositoryRoot, found.repositoryPath ?? '', '..'));
    expect(names).to.have.length(6);
    expect(names.filter((name) => name.startsWith('.'))).to.deep.equal([]);
  });
});

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
