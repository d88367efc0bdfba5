import type { BackupDiskCreate } from '../../src/contract/index.js';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob, RestorePoint } from '../../src/entities/index.js';
import { acceptBackup } from '../../src/producers/accept/index.js';
import { codeOf } from '../helpers/codeOf.js';
import { writeAt } from '../helpers/disks.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { type NbdServer, startNbdkit } from '../helpers/nbdServers.js';
import { restoreAll } from '../helpers/restoreAll.js';
import {
  createVmOfDisks,
  type EndedPoint,
  endedPoint,
  expectSame,
  save,
  savedPath,
  toldOf,
  type VmOfDisks,
} from '../helpers/vmOfDisks.js';

const BLOCK = 65536;
const SIZE = 32 * BLOCK;

const extents = (blocks: number[]) => ({
  changed_extents: blocks.map((block) => ({ offset: block * BLOCK, length: 512 })),
});

describe('Change tracking', () => {
  let fleet: TestFleet;
  const servers: NbdServer[] = [];
  before(async () => {
    // Every block that a tracker calls unchanged is looked at.
    fleet = await openFleet({ audit: { blocks: 10_000, ppm: 1_000_000, distrustBackups: 1 } });
    fleet.work(4);
  });
  after(async () => {
    for (const server of servers) await server.stop();
    await fleet.close();
  });

  const vmOf = (name: string, ids: number[]): Promise<VmOfDisks> =>
    createVmOfDisks(fleet, { name, ids, sizeBytes: SIZE });
  const served = async (server: Promise<NbdServer>) => {
    servers.push(await server);
    return { type: 'nbd' as const, uri: (await server).uri() };
  };
  const same = (...points: EndedPoint[]) =>
    expectSame(
      fleet,
      points.flatMap(({ backups }) => Object.values(backups)),
    );
  /** Disks of a request: the number of their backup is their change id, the one before it where the list begins. */
  const step = (ids: number[], n: number, blocks: number[]): BackupDiskCreate[] =>
    ids.map((disk_id) => ({
      disk_id,
      change_id: `${disk_id}.${n}`,
      since_change_id: `${disk_id}.${n - 1}`,
      ...extents(blocks),
    }));
  const fullOf = (vm: VmOfDisks, ids: number[]) =>
    vm.backUp(
      'full',
      ids.map((disk_id) => ({ disk_id, change_id: `${disk_id}.0` })),
    );
  const write = async (vm: VmOfDisks, ids: number[], block: number) => {
    for (const id of ids) await writeAt(vm.path(id), block * BLOCK, 512);
  };

  it("lesson 11: each disk is checked with its own change id, never with disk 0's", async () => {
    const ids = [0, 1, 2];
    const vm = await vmOf('eleven', ids);
    await fullOf(vm, ids);
    const all = step(ids, 1, []).map((disk) => ({ ...disk, since_change_id: '0.0' }));
    const point = await vm.backUp('incremental', all);
    const mismatch = 'full change_id_mismatch';
    expect(toldOf(point)).to.deep.equal({ 0: 'incremental', 1: mismatch, 2: mismatch });
    expect(toldOf(await vm.backUp('incremental', step(ids, 2, [])))).to.deep.equal(
      Object.fromEntries(ids.map((id) => [id, 'incremental'])),
    );
    await same(point);
  });

  it('lesson 12: the change id of a run that failed is no base: what it would have held is not lost', async () => {
    const vm = await vmOf('twelve', [0]);
    const full = await fullOf(vm, [0]);
    const map = join(fleet.suite.tempDir, 'bad.map');
    await writeFile(map, '0x0 + 1\n0x0 0x80000 +\n0x80000 0x10000 -\n0x90000 0x170000 +\n');
    await write(vm, [0], 8);
    const source = await served(
      startNbdkit('--filter=ddrescue', 'file', vm.path(0), `ddrescue-mapfile=${map}`),
    );
    const failed = await vm.backUp(
      'incremental',
      step([0], 1, [8]).map((disk) => ({ ...disk, source })),
    );
    expect(toldOf(failed)).to.deep.equal({ 0: 'failed nbd_io_error' });
    await write(vm, [0], 20);
    const onFailed = step([0], 2, [20]);
    const strict = { on_broken_chain: 'fail' as const };
    expect(await codeOf(vm.backUp('incremental', onFailed, strict))).to.equal('change_id_mismatch');
    const onGood = await vm.backUp('incremental', [
      { disk_id: 0, since_change_id: '0.0', change_id: '0.3', ...extents([8, 20]) },
    ]);
    expect(toldOf(onGood)).to.deep.equal({ 0: 'incremental' });
    expect(onGood.backups[0]?.parentBackupId).to.equal(full.backups[0]?.id);
    const demoted = await vm.backUp('incremental', onFailed);
    expect(toldOf(demoted)).to.deep.equal({ 0: 'full change_id_mismatch' });
    await same(full, onGood, demoted);
  });

  it('lesson 13: a restore point of two disks is not complete when the first of them is', async () => {
    const vm = await vmOf('thirteen', [0, 1]);
    const slow = await served(startNbdkit('--filter=delay', 'file', vm.path(1), 'rdelay=700ms'));
    const { restore_point_id, disk_results } = await acceptBackup(fleet.accept, {
      vm_name: vm.name,
      repository_id: 'main',
      backup_type: 'full',
      disks: [
        { disk_id: 0, source: vm.source(0) },
        { disk_id: 1, source: slow },
      ],
    });
    const [first = '', second = ''] = disk_results.map(({ backup_id }) => backup_id);
    const { ds } = fleet.suite;
    const pointStatus = async () =>
      (await ds.getRepository(RestorePoint).findOneByOrFail({ id: restore_point_id })).status;
    expect(await fleet.ended(first)).to.include({ status: 'completed' });
    let looks = 0;
    for (;;) {
      const status = await pointStatus();
      const other = await ds.getRepository(BackupJob).findOneByOrFail({ id: second });
      if (other.status === 'completed') break;
      expect(status).to.equal('running');
      looks++;
    }
    expect(looks).to.be.greaterThan(0);
    await fleet.ended(second);
    expect(await pointStatus()).to.equal('completed');
    for (const [id, backup] of [first, second].entries()) await save(fleet, backup, vm.path(id));
    await same(await endedPoint(fleet, restore_point_id, [first, second]));
  });

  it('lesson 14: tracking that broke on one disk costs one full of that disk, and the next is an increment again', async () => {
    const ids = [0, 1, 2];
    const vm = await vmOf('fourteen', ids);
    const others = { 0: 'incremental', 2: 'incremental' };
    const points = [await fullOf(vm, ids)];
    for (let n = 1; n < 4; n++) {
      const broken = n === 2;
      await write(vm, ids, n);
      const disks = step(ids, n, [n]).map((disk) =>
        broken && disk.disk_id === 1 ? { ...disk, since_change_id: 'reset' } : disk,
      );
      const point = await vm.backUp('incremental', disks);
      const one = broken ? 'full change_id_mismatch' : 'incremental';
      expect(toldOf(point), `backup ${n}`).to.deep.equal({ ...others, 1: one });
      expect(point.point).to.include({ status: 'completed' });
      points.push(point);
    }
    await same(...points);
  });

  it('lesson 15: a sector that the tracker left out is found, the backup is right, and both it and the doubt are told', async () => {
    const ids = [0, 1, 2];
    const vm = await vmOf('fifteen', ids);
    const points = [await fullOf(vm, ids), await vm.backUp('incremental', step(ids, 1, []))];
    await write(vm, ids, 2);
    await write(vm, [1], 30);
    const caught = await vm.backUp('incremental', step(ids, 2, [2]));
    const others = { 0: 'incremental', 2: 'incremental' };
    expect(toldOf(caught)).to.deep.equal({ ...others, 1: 'incremental tracker_lied' });
    expect(caught.point).to.deep.include({
      status: 'completed_with_warnings',
      notes: [{ disk_id: 1, code: 'tracker_lied' }],
    });
    const { ds } = fleet.suite;
    const before = await ds.getRepository(BackupJob).findBy({ restorePointId: points[1]?.point.id ?? '' });
    expect(before.flatMap(({ diskId, doubtedAt }) => (doubtedAt ? [diskId] : []))).to.deep.equal([1]);
    points.push(caught);
    for (let n = 3; n < 5; n++) {
      await write(vm, ids, 3);
      const next = await vm.backUp('incremental', step(ids, n, [3]));
      const one = n < 4 ? 'incremental tracker_distrusted' : 'incremental';
      expect(toldOf(next), `backup ${n}`).to.deep.equal({ ...others, 1: one });
      points.push(next);
    }
    await same(...points);
  });

  it('lesson 17: a grown disk is compared and goes on by its list, a new and a shrunk one begin anew, and every point restores', async () => {
    const vm = await vmOf('seventeen', [0, 1]);
    const points = [await fullOf(vm, [0])];
    const next = async (n: number, blocks: number[]) => {
      const point = await vm.backUp('incremental', step([0, 1], n, blocks));
      points.push(point);
      return toldOf(point);
    };
    expect(await next(1, [])).to.deep.equal({ 0: 'incremental', 1: 'full no_completed_full' });
    // In the middle of a block, and the list says nothing of what is beyond the old end.
    await truncate(vm.path(0), SIZE + 512 * 5);
    await writeAt(vm.path(0), SIZE + 512, 700);
    await write(vm, [0, 1], 9);
    expect(await next(2, [9])).to.deep.equal({ 0: 'incremental disk_resized', 1: 'incremental' });
    await truncate(vm.path(1), SIZE / 2);
    await truncate(vm.path(0), SIZE + 3 * BLOCK);
    await write(vm, [0, 1], 10);
    expect(await next(3, [10])).to.deep.equal({ 0: 'incremental disk_resized', 1: 'full disk_shrunk' });
    await write(vm, [0, 1], 11);
    expect(await next(4, [11])).to.deep.equal({ 0: 'incremental', 1: 'incremental' });
    await same(...points);
    const backups = points.flatMap((point) => Object.values(point.backups));
    await restoreAll(fleet, {
      accepted: [],
      points: backups.map(({ id }) => ({ id, saved: savedPath(fleet, id) })),
    });
  });
});
