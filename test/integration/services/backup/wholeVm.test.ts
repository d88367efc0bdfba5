import type { BackupCreate, BackupDiskCreate } from '../../../../src/contract/index.js';
import { rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob, RestorePoint } from '../../../../src/entities/index.js';
import { acceptBackup, acceptRestore, registerVm } from '../../../../src/producers/accept/index.js';
import { compareImages } from '../../../../src/qcow2/index.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { makeDisk, writeAt } from '../../../helpers/disks.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';

const SIZE = 2 * 1024 * 1024;

describe('A VM of several disks', () => {
  let fleet: TestFleet;
  let vms = 0;
  let vm: string;
  before(async () => {
    fleet = await openFleet();
    fleet.work(4);
  });
  beforeEach(async () => {
    vm = `vm${vms++}`;
    for (const id of [0, 1, 2]) await makeDisk(path(id), SIZE, [[id * 4096, 300_000]]);
    await register([0, 1, 2]);
  });
  after(() => fleet.close());

  const path = (id: number) => join(fleet.sources, `${vm}-${id}.raw`);
  const source = (id: number) => ({ type: 'file' as const, path: path(id), format: 'raw' as const });
  const register = (ids: number[]) =>
    registerVm(fleet.accept, {
      vm_name: vm,
      repository_id: 'main',
      disks: ids.map((disk_id) => ({ disk_id, source: source(disk_id) })),
    });
  /** Backs the VM up and waits for all disks; backups by disk id. */
  const backUp = async (body: Partial<BackupCreate> = {}) => {
    const request = { vm_name: vm, repository_id: 'main', backup_type: 'incremental' as const, ...body };
    const { restore_point_id: id, disk_results } = await acceptBackup(fleet.accept, request);
    const { ds } = fleet.suite;
    const backups: Record<number, BackupJob> = {};
    for (const { disk_id, backup_id } of disk_results) {
      await fleet.ended(backup_id);
      backups[disk_id] = await ds.getRepository(BackupJob).findOneByOrFail({ id: backup_id });
    }
    return { point: await ds.getRepository(RestorePoint).findOneByOrFail({ id }), backups };
  };
  const expectSame = async (backup: BackupJob | undefined, diskId: number) => {
    const target = { type: 'file' as const, path: join(fleet.restores, `${backup?.id}.raw`) };
    const body = { backup_id: backup?.id ?? '', target, format: 'raw' as const };
    const { restore_id } = await acceptRestore(fleet.accept, body);
    const end = await fleet.ended(restore_id);
    expect(end.status, end.error_detail ?? '').to.equal('completed');
    const { identical } = await compareImages(
      { type: 'file', path: target.path, format: 'raw' },
      { type: 'file', path: path(diskId), format: 'raw' },
    );
    expect(identical, `disk ${diskId}`).to.equal(true);
  };
  const types = (backups: Record<number, BackupJob>) =>
    Object.fromEntries(
      Object.values(backups).map(({ diskId, backupType, demotedReason }) => [
        diskId,
        `${backupType} ${demotedReason ?? ''}`.trim(),
      ]),
    );

  it('has one restore point with one instant, which is complete when every disk is', async () => {
    await fleet.stopWorking();
    const accepted = await acceptBackup(fleet.accept, {
      vm_name: vm,
      repository_id: 'main',
      backup_type: 'auto',
    });
    const { ds } = fleet.suite;
    const status = async () =>
      (await ds.getRepository(RestorePoint).findOneByOrFail({ id: accepted.restore_point_id })).status;
    expect(await status()).to.equal('pending');
    fleet.work(1);
    const seen = new Set<string>();
    for (const { backup_id } of accepted.disk_results) {
      await fleet.ended(backup_id);
      const open = await ds.getRepository(BackupJob).countBy([
        { restorePointId: accepted.restore_point_id, status: 'released' },
        { restorePointId: accepted.restore_point_id, status: 'running' },
      ]);
      const now = await status();
      if (open > 0) expect(['running', 'completed']).to.include(now);
      seen.add(now);
    }
    expect(await status()).to.equal('completed');
    const rows = await ds.getRepository(BackupJob).findBy({ restorePointId: accepted.restore_point_id });
    const point = await ds.getRepository(RestorePoint).findOneByOrFail({ id: accepted.restore_point_id });
    expect(new Set(rows.map(({ createdAt }) => createdAt.getTime()))).to.deep.equal(
      new Set([point.createdAt.getTime()]),
    );
    const seconds = rows.map(({ repositoryPath }) => /-(\d+)-full\.qcow2$/.exec(repositoryPath ?? '')?.[1]);
    expect(new Set(seconds).size, seconds.join()).to.equal(1);
  });

  it('of which one fails has a failed restore point, and the others go on from the good backups of that point', async () => {
    await backUp();
    await rm(path(1));
    for (const id of [0, 2]) await writeAt(path(id), 1_000_000, 100);
    const { point, backups } = await backUp();
    expect(point.status).to.equal('failed');
    expect([0, 1, 2].map((id) => backups[id]?.status)).to.deep.equal(['completed', 'failed', 'completed']);
    await makeDisk(path(1), SIZE, [[500_000, 1000]]);
    const next = await backUp();
    expect(next.point.status).to.equal('completed');
    expect(next.backups[0]?.parentBackupId).to.equal(backups[0]?.id);
    expect(next.backups[1]?.parentBackupId).not.to.equal(backups[1]?.id);
    for (const id of [0, 1, 2]) await expectSame(next.backups[id], id);
  });

  it('has one disk demoted to a full, and the others are not', async () => {
    const disks = (since: (id: number) => string): BackupDiskCreate[] =>
      [2, 0, 1].map((disk_id) => ({
        disk_id,
        change_id: `c${disk_id}`,
        since_change_id: since(disk_id),
        changed_extents: [],
      }));
    await backUp({
      backup_type: 'full',
      disks: [0, 1, 2].map((disk_id) => ({ disk_id, change_id: `c${disk_id}` })),
    });
    const { backups } = await backUp({ disks: disks((id) => (id === 1 ? 'c0' : `c${id}`)) });
    expect(types(backups)).to.deep.equal({
      0: 'incremental',
      1: 'full change_id_mismatch',
      2: 'incremental',
    });
  });

  it('is told when a disk is added, left out, retired and listed again', async () => {
    expect((await backUp()).point).to.deep.include({ status: 'completed', notes: null });
    await makeDisk(path(7), SIZE, [[0, 1000]]);
    await register([0, 1, 2, 7]);
    const added = await backUp();
    expect(added.point).to.deep.include({ status: 'completed', notes: [{ disk_id: 7, code: 'disk_added' }] });
    expect(types(added.backups)[7]).to.equal('full no_completed_full');
    await register([0, 2, 7]);
    const retired = await backUp();
    expect(retired.point).to.deep.include({
      status: 'completed',
      notes: [{ disk_id: 1, code: 'disk_retired' }],
    });
    expect(Object.keys(retired.backups)).to.deep.equal(['0', '2', '7']);
    expect((await backUp()).point.notes, 'said once').to.equal(null);
    const partly = await backUp({ disks: [{ disk_id: 7 }, { disk_id: 0 }] });
    expect(partly.point).to.deep.include({
      status: 'completed_with_warnings',
      missingDisks: 1,
      notes: [{ disk_id: 2, code: 'disk_left_out' }],
    });
    await writeAt(path(1), 900_000, 100);
    await register([7, 2, 1, 0]);
    const again = await backUp();
    expect(again.point).to.deep.include({ status: 'completed', notes: null });
    expect(again.backups[1]?.parentBackupId, 'the old chain goes on').to.equal(added.backups[1]?.id);
    for (const id of [0, 1, 2, 7]) await expectSame(again.backups[id], id);
    await expectSame(added.backups[7], 7);
  });

  it('is told when a disk grows or shrinks: the grown one goes on, the shrunk one begins anew', async () => {
    const first = await backUp();
    await makeDisk(path(0), SIZE + 512 * 5, [[SIZE - 100, 600]]);
    await truncate(path(2), SIZE / 2);
    const { point, backups } = await backUp();
    expect(point.status).to.equal('completed');
    expect(point.notes).to.have.deep.members([
      { disk_id: 0, code: 'disk_grown' },
      { disk_id: 2, code: 'disk_shrunk' },
    ]);
    expect(types(backups)).to.deep.equal({ 0: 'incremental', 1: 'incremental', 2: 'full disk_shrunk' });
    for (const id of [0, 1, 2]) await expectSame(backups[id], id);
    const restored = join(fleet.restores, 'old.raw');
    const { restore_id } = await acceptRestore(fleet.accept, {
      backup_id: first.backups[2]?.id ?? '',
      target: { type: 'file', path: restored },
      format: 'raw',
    });
    expect((await fleet.ended(restore_id)).status, 'the old size stays restorable').to.equal('completed');
    const strict = { backup_type: 'incremental' as const, on_broken_chain: 'fail' as const };
    await truncate(path(1), SIZE / 2);
    const refused = await backUp(strict);
    expect(refused.backups[1]?.errorCode).to.equal('chain_broken');
    expect(refused.backups[0]?.status).to.equal('completed');
  });

  it('whose disks have changed places under their ids is backed up as it is now', async () => {
    await backUp();
    const swapped = [0, 1].map((disk_id) => ({ disk_id, source: source(1 - disk_id) }));
    const { backups } = await backUp({ disks: [{ disk_id: 2 }, ...swapped] });
    await expectSame(backups[0], 1);
    await expectSame(backups[1], 0);
    await expectSame(backups[2], 2);
  });

  it('is not begun at all where one of its disks cannot be accepted', async () => {
    await backUp();
    const count = () => fleet.suite.ds.getRepository(RestorePoint).count();
    const before = await count();
    const bad = { ...source(1), path: '/etc/passwd' };
    const request = { vm_name: vm, repository_id: 'main', backup_type: 'full' as const };
    const outcome = acceptBackup(fleet.accept, {
      ...request,
      disks: [{ disk_id: 0 }, { disk_id: 1, source: bad }],
    });
    expect(await codeOf(outcome)).to.equal('path_not_allowed');
    expect(await count()).to.equal(before);
  });
});
