import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Chain, ChangeIdAnswer } from '../../src/contract/index.js';
import { BackupJob } from '../../src/entities/index.js';
import { registerRepository } from '../../src/producers/accept/index.js';
import { writeAt } from '../helpers/disks.js';
import { type NbdServer, startNbdkit } from '../helpers/nbdServers.js';
import {
  createVmOfDisks,
  type EndedPoint,
  expectSame,
  told,
  toldOf,
  type VmOfDisks,
} from '../helpers/vmOfDisks.js';
import { isProblem, openApi, type TestApi } from '../integration/producers/http/support.js';

const SIZE = 2 * 1024 * 1024;

describe('Chains', () => {
  let api: TestApi;
  let second: string;
  const servers: NbdServer[] = [];
  before(async () => {
    api = await openApi();
    const root = join(api.fleet.suite.tempDir, 'second');
    await mkdir(root);
    second = (await registerRepository(api.fleet.accept, { name: 'second', type: 'local', root_path: root }))
      .id;
    api.fleet.work(4);
  });
  after(async () => {
    for (const server of servers) await server.stop();
    await api.close();
  });

  const vmOf = (name: string, ids = [0]): Promise<VmOfDisks> =>
    createVmOfDisks(api.fleet, { name, ids, sizeBytes: SIZE });
  const served = async (server: Promise<NbdServer>) => {
    servers.push(await server);
    return { type: 'nbd' as const, uri: (await server).uri() };
  };
  const same = (...points: EndedPoint[]) =>
    expectSame(
      api.fleet,
      points.flatMap(({ backups }) => Object.values(backups)),
    );
  const changeId = async (query: string): Promise<ChangeIdAnswer> =>
    api.read(`backups/changeid?${query}`, ChangeIdAnswer);

  it('lesson 3: a change id is that of one disk of one VM in one repository, whatever others are called', async () => {
    const places = [
      { query: 'repository_id=main', more: { repository_id: 'main' } },
      { query: 'repository_id=second', more: { repository_id: 'second' } },
      { query: 'repository_id=main&upstream_id=b', more: { repository_id: 'main', upstream_id: 'b' } },
    ];
    const vms = await Promise.all(places.map((_, n) => vmOf(`three${n}`, [0, 1])));
    const backUp = (n: number, type: 'full' | 'incremental', facts: (id: number) => object) =>
      vms[n]?.backUp(
        type,
        [0, 1].map((disk_id) => ({ disk_id, ...facts(disk_id) })),
        { ...places[n]?.more, vm_name: 'web' },
      ) ?? Promise.reject(new RangeError(`There is no VM ${n}.`));
    const fulls: EndedPoint[] = [];
    for (const n of places.keys())
      fulls.push(await backUp(n, 'full', (id) => ({ change_id: `p${n}d${id}` })));
    for (const [n, { query }] of places.entries()) {
      for (const id of [0, 1]) {
        const { change_id, backup_id } = await changeId(`vm_name=web&disk_id=${id}&${query}`);
        expect({ change_id, backup_id }).to.deep.equal({
          change_id: `p${n}d${id}`,
          backup_id: fulls[n]?.backups[id]?.id,
        });
      }
      const point = await backUp(n, 'incremental', (id) => ({
        since_change_id: id === 0 ? `p${n}d0` : `p${(n + 1) % places.length}d1`,
        changed_extents: [{ offset: 0, length: 512 }],
      }));
      expect(toldOf(point)).to.deep.equal({ 0: 'incremental', 1: 'full change_id_mismatch' });
      expect(point.backups[0]?.parentBackupId).to.equal(fulls[n]?.backups[0]?.id);
      await same(point);
    }
    await same(...fulls);
  });

  it('lesson 4: a full that has failed is nobody’s parent, and the good one before it goes on', async () => {
    const vm = await vmOf('four', [0, 1]);
    const map = join(api.fleet.suite.tempDir, 'bad.map');
    // A mapfile of GNU ddrescue: the last part of the disk cannot be read.
    await writeFile(map, '0x0 + 1\n0x0 0x40000 +\n0x40000 0x10000 -\n0x50000 0x1b0000 +\n');
    const bad = (id: number) =>
      served(startNbdkit('--filter=ddrescue', 'file', vm.path(id), `ddrescue-mapfile=${map}`));
    const first = await vm.backUp('full', [
      { disk_id: 0, change_id: 'good' },
      { disk_id: 1, source: await bad(1), change_id: 'bad1' },
    ]);
    expect(toldOf(first)).to.deep.equal({ 0: 'full', 1: 'failed nbd_io_error' });
    const again = await vm.backUp('full', [{ disk_id: 0, source: await bad(0), change_id: 'bad0' }]);
    expect(toldOf(again)).to.deep.equal({ 0: 'failed nbd_io_error' });
    expect(await changeId('vm_name=four&repository_id=main&disk_id=0')).to.include({ change_id: 'good' });
    expect(await changeId('vm_name=four&repository_id=main&disk_id=1')).to.include({ change_id: null });
    await writeAt(vm.path(0), 700_000, 100);
    const next = await vm.backUp('incremental', [
      { disk_id: 0, since_change_id: 'good', changed_extents: [{ offset: 700_000, length: 100 }] },
      { disk_id: 1, since_change_id: 'bad1', changed_extents: [] },
    ]);
    expect(toldOf(next)).to.deep.equal({ 0: 'incremental', 1: 'full no_completed_full' });
    expect(next.backups[0]?.parentBackupId).to.equal(first.backups[0]?.id);
    await same(next);
  });

  it('lesson 5: a disk is its id and not its place in a list, also when disks come and go', async () => {
    const vm = await vmOf('five', [0, 1, 2, 5]);
    const latest = new Map<number, BackupJob>();
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [5, 2, 0],
      [0, 5, 1],
      [1, 2, 5, 0],
    ]) {
      for (const id of order) await writeAt(vm.path(id), 65536 * (8 + id), 700);
      const disks = order.map((disk_id) => {
        const before = latest.get(disk_id);
        const change_id = `d${disk_id}-${(before?.seq ?? 0) + 1}`;
        if (!before) return { disk_id, change_id };
        const changed_extents = [{ offset: 65536 * (8 + disk_id), length: 700 }];
        return { disk_id, change_id, since_change_id: before.changeId ?? '', changed_extents };
      });
      const point = await vm.backUp('incremental', disks);
      for (const id of order) {
        const backup = point.backups[id];
        if (!backup) throw new Error(`Disk ${id} was not backed up.`);
        const before = latest.get(id);
        expect(told(backup), `disk ${id}`).to.equal(before ? 'incremental' : 'full no_completed_full');
        expect(backup.parentBackupId).to.equal(before?.id ?? null);
        latest.set(id, backup);
      }
      await same(point);
    }
  });

  it('lesson 6: the removal of a backup leaves no child without a parent', async () => {
    const vm = await vmOf('six');
    const points: EndedPoint[] = [];
    for (const type of ['full', 'incremental', 'incremental', 'incremental'] as const) {
      await writeAt(vm.path(0), points.length * 200_000, 70_000);
      points.push(await vm.backUp(type));
    }
    const ids = points.map(({ backups }) => backups[0]?.id ?? '');
    const { ds } = api.fleet.suite;
    for (const id of ids.slice(0, 3)) {
      const refused = await ds.query('DELETE FROM backup_jobs WHERE id = ?', [id]).catch(String);
      expect(refused).to.contain('foreign key');
    }
    for (const id of [ids[1], ids[0]]) {
      const removal = await api.call('DELETE', `backups/${id}`);
      expect(removal.status, removal.text).to.equal(202);
      expect(await api.fleet.ended(removal.body.chains[0].job.job_id)).to.include({ status: 'completed' });
      const left = await ds
        .getRepository(BackupJob)
        .findBy({ vmContextId: points[0]?.point.vmContextId ?? '' });
      const living = left.filter(({ status }) => status === 'completed');
      for (const { parentBackupId, backupType } of living) {
        const parents = backupType === 'full' ? [null] : living.map((each) => each.id);
        expect(parents).to.include(parentBackupId);
      }
      await expectSame(api.fleet, living);
    }
    const { backups }: Chain = await api.read(`chains/${points[0]?.backups[0]?.chainId}`, Chain);
    expect(backups.map(({ status }) => status)).to.deep.equal([
      'expired',
      'expired',
      'completed',
      'completed',
    ]);
  });

  it('lesson 7: who removes a VM, a disk or a repository from the catalogue does not erase its backups', async () => {
    const vm = await vmOf('seven');
    const { backups, point } = await vm.backUp('full');
    const { ds } = api.fleet.suite;
    const count = () => ds.getRepository(BackupJob).count();
    const before = await count();
    const mine = 'WHERE vm_context_id = ?';
    for (const table of ['vm_contexts', 'vm_disks', 'backup_chains', 'restore_points']) {
      const refused = await ds.query(`DELETE FROM ${table} ${mine}`, [point.vmContextId]).catch(String);
      expect(refused, table).to.contain('foreign key');
    }
    isProblem(await api.call('DELETE', `repositories/${second}`), 409, 'repository_not_empty');
    isProblem(
      await api.call('DELETE', `repositories/${api.fleet.repositoryId}`),
      409,
      'repository_not_empty',
    );
    expect(await count()).to.equal(before);
    await expectSame(api.fleet, Object.values(backups));
  });

  it('lesson 9: a chain is found under the key under which it was written, however the VM is named', async () => {
    const vm = await vmOf('nine');
    const name = 'Wéb (9) prod';
    const names = [
      { vm_name: name },
      { vm_name: name, upstream_id: 'site b' },
      { vm_name: name.toLowerCase() },
    ];
    const chains = new Set<string>();
    for (const more of names) {
      const first = await vm.backUp('full', [{ disk_id: 0, change_id: 'a' }], more);
      const repository_id = api.fleet.repositoryId;
      const next = await vm.backUp('incremental', [{ disk_id: 0, change_id: 'b' }], {
        ...more,
        repository_id,
      });
      const { chainId, vmContextId, id } = next.backups[0] ?? new BackupJob();
      expect(next.backups[0]?.parentBackupId).to.equal(first.backups[0]?.id);
      chains.add(chainId);
      for (const repository of ['main', repository_id]) {
        const query = new URLSearchParams({ ...more, repository_id: repository, disk_id: '0' });
        expect(await changeId(query.toString())).to.include({ change_id: 'b', backup_id: id });
      }
      const chain: Chain = await api.read(`vms/${vmContextId}/disks/0/chain`, Chain);
      expect(chain).to.include({ id: chainId, latest_backup_id: id, vm_context_id: vmContextId });
      await same(first, next);
    }
    expect(chains.size).to.equal(names.length);
  });
});
