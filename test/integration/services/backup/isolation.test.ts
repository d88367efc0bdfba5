import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob } from '../../../../src/entities/index.js';
import {
  acceptBackup,
  acceptRestore,
  registerRepository,
  registerVm,
} from '../../../../src/producers/accept/index.js';
import { compareImages } from '../../../../src/qcow2/index.js';
import { makeDisk, writeAt } from '../../../helpers/disks.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';

const SIZE = 2 * 1024 * 1024;
const DISK_IDS = [0, 1, 10];

describe('Disks, VMs and repositories', () => {
  let fleet: TestFleet;
  before(async () => {
    fleet = await openFleet();
    fleet.work(4);
    const root = join(fleet.suite.tempDir, 'second');
    await mkdir(root);
    await registerRepository(fleet.accept, { name: 'second', type: 'local', root_path: root });
    for (const repository of ['main', 'second']) {
      for (const id of DISK_IDS)
        await makeDisk(pathOf(repository, id), SIZE + id * 512, [[id * 4096, 300_000]]);
      await registerVm(fleet.accept, {
        vm_name: 'twin',
        repository_id: repository,
        // Listed in another order than their ids: the position must not matter.
        disks: [10, 0, 1].map((id) => ({
          disk_id: id,
          source: { type: 'file', path: pathOf(repository, id), format: 'raw' },
        })),
      });
    }
  });
  after(() => fleet.close());

  const pathOf = (repository: string, id: number) => join(fleet.sources, `${repository}-${id}.raw`);
  const backUp = async (repository: string, changes: Record<number, string> = {}) => {
    const answer = await acceptBackup(fleet.accept, {
      vm_name: 'twin',
      repository_id: repository,
      backup_type: 'auto',
      ...(Object.keys(changes).length > 0
        ? {
            disks: DISK_IDS.map((disk_id) => ({
              disk_id,
              ...(changes[disk_id] ? { change_id: changes[disk_id] } : {}),
            })),
          }
        : {}),
    });
    for (const { backup_id } of answer.disk_results) {
      const end = await fleet.ended(backup_id);
      expect(end.status, end.error_detail ?? '').to.equal('completed');
    }
    return answer;
  };
  const expectSame = async (backupId: string, source: string) => {
    const path = join(fleet.restores, `${backupId}.raw`);
    const { restore_id } = await acceptRestore(fleet.accept, {
      backup_id: backupId,
      target: { type: 'file', path },
      format: 'raw',
    });
    const end = await fleet.ended(restore_id);
    expect(end.status, end.error_detail ?? '').to.equal('completed');
    const { identical } = await compareImages(
      { type: 'file', path, format: 'raw' },
      { type: 'file', path: source, format: 'raw' },
    );
    expect(identical, source).to.equal(true);
  };

  it('are never mixed up: disks 0, 1 and 10 of two VMs of one name in two repositories', async () => {
    const contexts = new Set<string>();
    for (let round = 0; round < 2; round++) {
      for (const repository of ['main', 'second']) {
        const answer = await backUp(repository);
        contexts.add(answer.vm_context_id);
        expect(answer.disk_results.map(({ disk_id }) => disk_id)).to.deep.equal(DISK_IDS);
        for (const { disk_id, backup_id } of answer.disk_results)
          await expectSame(backup_id, pathOf(repository, disk_id));
      }
      for (const repository of ['main', 'second'])
        for (const id of DISK_IDS) await writeAt(pathOf(repository, id), 65536 * (id + round), 900);
    }
    expect(contexts.size).to.equal(2);
  });

  it('keep their files apart, by context and by disk', async () => {
    const [context] = await readdir(fleet.repositoryRoot).then((names) =>
      names.filter((name) => !name.startsWith('.')),
    );
    const disks = await readdir(join(fleet.repositoryRoot, context ?? ''));
    expect(disks).to.have.members(['disk-0', 'disk-1', 'disk-10']);
    const files = await readdir(join(fleet.repositoryRoot, context ?? '', 'disk-1'));
    expect(
      files
        .filter((name) => name.endsWith('.qcow2'))
        .every((name) => /^backup-twin-1-\d+-(full|incr)\.qcow2$/.test(name)),
    ).to.equal(true);
  });

  it("have change ids of their own: each disk is checked with its own, never with disk 0's", async () => {
    await backUp('main', { 0: 'a0', 1: 'a1', 10: 'a10' });
    const extents = [{ offset: 0, length: 512 }];
    const answer = await acceptBackup(fleet.accept, {
      vm_name: 'twin',
      repository_id: 'main',
      backup_type: 'incremental',
      disks: DISK_IDS.map((disk_id) => ({
        disk_id,
        since_change_id: disk_id === 1 ? 'a0' : `a${disk_id}`,
        changed_extents: extents,
      })),
    });
    const types: Record<number, string> = {};
    for (const { disk_id, backup_id } of answer.disk_results) {
      expect((await fleet.ended(backup_id)).status).to.equal('completed');
      const row = await fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id: backup_id });
      types[disk_id] = `${row.backupType} ${row.demotedReason ?? ''}`.trim();
    }
    expect(types).to.deep.equal({ 0: 'incremental', 1: 'full change_id_mismatch', 10: 'incremental' });
  });

  it('share no restore point, and one that leaves a disk out does not call itself complete', async () => {
    const answer = await acceptBackup(fleet.accept, {
      vm_name: 'twin',
      repository_id: 'main',
      backup_type: 'auto',
      disks: [{ disk_id: 1 }],
    });
    expect((await fleet.ended(answer.disk_results[0]?.backup_id ?? '')).status).to.equal('completed');
    const rows = await fleet.suite.ds.query<{ status: string }[]>(
      'SELECT status FROM restore_points WHERE id = ?',
      [answer.restore_point_id],
    );
    expect(rows[0]?.status).to.equal('completed_with_warnings');
  });
});
