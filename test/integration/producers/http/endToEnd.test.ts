import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  Backup,
  BackupAccepted,
  BackupPage,
  CancelResult,
  Chain,
  ChainPage,
  ChangeIdAnswer,
  Job,
  Restore,
  RestoreAccepted,
  RestorePage,
  RestorePointPage,
  RestorePointWithBackups,
  JobAccepted,
  Vm,
  VmPage,
} from '../../../../src/contract/index.js';
import { BASE, fits, isProblem, openApi, type TestApi } from './support.js';

const DISK_BYTES = 8 << 20;

describe('The API on a working fleet', () => {
  let api: TestApi;
  let vm: Vm;
  let full: Backup;
  let incremental: Backup;
  const source = () => ({ type: 'file', path: join(api.fleet.sources, 'disk.raw'), format: 'raw' });

  before(async () => {
    api = await openApi();
    await writeFile(source().path, randomBytes(1 << 20));
    await truncate(source().path, DISK_BYTES);
    api.fleet.work();
  });
  after(() => api.close());

  const backUp = async (type: string, disk: object): Promise<Backup> => {
    const answer = await api.call('POST', 'backups', {
      as: 'operator',
      body: { vm_name: 'web 1', repository_id: 'main', backup_type: type, disks: [{ disk_id: 3, ...disk }] },
    });
    expect(answer.status, answer.text).to.equal(202);
    fits(BackupAccepted, answer.body);
    const [result] = answer.body.disk_results;
    expect(answer.headers['location']).to.equal(`${BASE}/restore-points/${answer.body.restore_point_id}`);
    expect((await api.fleet.ended(result.backup_id)).status).to.equal('completed');
    return api.read(`backups/${result.backup_id}`, Backup);
  };

  it('registers a VM and shows it, and takes no NBD source with a password in it', async () => {
    const disks = [
      { disk_id: 3, label: 'root', source: source(), virtual_size: DISK_BYTES },
      { disk_id: 10, source: { type: 'nbd', uri: 'nbd://127.0.0.1:10809/x', bitmap: 'b0' } },
    ];
    const secret = { disk_id: 10, source: { type: 'nbd', uri: 'nbd://user:secret@127.0.0.1:10809/x' } };
    const refused = await api.call('PUT', 'vms', {
      body: { vm_name: 'web 1', repository_id: 'main', disks: [secret] },
    });
    isProblem(refused, 400, 'invalid_request');
    expect(refused.text).not.to.contain('secret@');
    const body = { vm_name: 'web 1', repository_id: api.fleet.repositoryId, disks };
    const answer = await api.call('PUT', 'vms', { as: 'operator', body });
    expect(answer.status, answer.text).to.equal(200);
    fits(Vm, answer.body);
    vm = answer.body;
    expect(vm.disks.map(({ disk_id }) => disk_id)).to.deep.equal([3, 10]);
    expect(vm.disks[1]?.source).to.include({ uri: 'nbd://127.0.0.1:10809/x', bitmap: 'b0' });
    expect(await api.read(`vms/${vm.vm_context_id}`, Vm)).to.deep.equal(vm);
    expect((await api.read('vms?vm_name=web%201&repository_id=main', VmPage)).items).to.deep.equal([vm]);
    expect((await api.read('vms?vm_name=web', VmPage)).items).to.deep.equal([]);
  });

  it('retires a disk that a second registration leaves out', async () => {
    const body = { vm_name: 'web 1', repository_id: 'main', disks: [{ disk_id: 3 }] };
    const { body: again } = await api.call('PUT', 'vms', { body });
    expect(again.disks[0]).to.deep.equal(vm.disks[0]);
    expect(again.disks[1].retired_at).to.be.a('string');
  });

  it('tells no change id before a backup has completed', async () => {
    const query = 'backups/changeid?vm_name=web%201&repository_id=main&disk_id=3';
    const none = { vm_name: 'web 1', disk_id: 3, change_id: null, backup_id: null };
    expect(await api.read(query, ChangeIdAnswer)).to.deep.equal(none);
  });

  it('takes a full, shows it as backup and as job, and tells its change id', async () => {
    full = await backUp('full', { change_id: 'c-1' });
    expect(full).to.include({ status: 'completed', backup_type: 'full', parent_backup_id: null, disk_id: 3 });
    expect(full).to.include({ vm_name: 'web 1', virtual_size: DISK_BYTES, error: null, health: 'ok' });
    expect(full.size_bytes).to.be.greaterThan(1 << 20);
    const job: Job = await api.read(`jobs/${full.id}`, Job);
    expect(job).to.include({ kind: 'backup', type: 'full', status: 'completed', vm_name: 'web 1' });
    const query = `backups/changeid?vm_name=web%201&repository_id=${api.fleet.repositoryId}&disk_id=3`;
    const latest: ChangeIdAnswer = await api.read(query, ChangeIdAnswer);
    expect(latest).to.include({ change_id: 'c-1', backup_id: full.id });
  });

  it('takes an increment by a change list upon it', async () => {
    const content = await readFile(source().path);
    randomBytes(65536).copy(content, 5 << 20);
    await writeFile(source().path, content);
    incremental = await backUp('incremental', {
      since_change_id: 'c-1',
      change_id: 'c-2',
      changed_extents: [{ offset: 5 << 20, length: 65536 }],
    });
    expect(incremental).to.include({
      backup_type: 'incremental',
      parent_backup_id: full.id,
      change_id: 'c-2',
    });
    expect(incremental.bytes_transferred).to.equal(65536);
  });

  it('lists the backups newest first, by every filter', async () => {
    const ids = async (query: string) =>
      (await api.read(`backups?${query}`, BackupPage)).items.map(({ id }: Backup) => id);
    const both = [incremental.id, full.id];
    for (const query of [
      '',
      'vm_name=web%201',
      `vm_context_id=${vm.vm_context_id}`,
      'repository_id=main',
      'disk_id=3',
      'status=completed',
      'vm_name=web%201&repository_id=main&disk_id=3&status=completed',
    ]) {
      expect(await ids(query), query).to.deep.equal(both);
    }
    expect(await ids('backup_type=full')).to.deep.equal([full.id]);
    for (const query of ['vm_name=web', 'vm_context_id=no-such', 'disk_id=0', 'status=failed']) {
      expect(await ids(query), query).to.deep.equal([]);
    }
  });

  it('shows the chain from both sides, every link with its parent, its totals and no lease', async () => {
    const list = await api.read(`chains?vm_context_id=${vm.vm_context_id}`, ChainPage);
    const summary = list.items.find(({ disk_id }: { disk_id: number }) => disk_id === 3);
    const chain: Chain = await api.read(`chains/${summary.id}`, Chain);
    expect(chain.backups.map(({ id, parent_backup_id }) => [id, parent_backup_id])).to.deep.equal([
      [full.id, null],
      [incremental.id, full.id],
    ]);
    expect(chain).to.include({ total_backups: 2, latest_backup_id: incremental.id, lease: null });
    expect(chain.total_size_bytes).to.equal((full.size_bytes ?? 0) + (incremental.size_bytes ?? 0));
    expect(await api.read(`vms/${vm.vm_context_id}/disks/3/chain`, Chain)).to.deep.equal(chain);
    expect((await api.read('chains?repository_id=main&health=damaged', ChainPage)).items).to.deep.equal([]);
  });

  it('shows the restore points of the VM, and in each its backups', async () => {
    const list = await api.read(`restore-points?vm_context_id=${vm.vm_context_id}`, RestorePointPage);
    expect(list.items.map(({ id }: { id: string }) => id)).to.deep.equal([
      incremental.restore_point_id,
      full.restore_point_id,
    ]);
    expect((await api.read('restore-points', RestorePointPage)).items).to.deep.equal(list.items);
    const point = await api.read(`restore-points/${full.restore_point_id}`, RestorePointWithBackups);
    expect(point).to.include({ status: 'completed', vm_name: 'web 1', missing_disks: 0 });
    expect(point.backups).to.deep.equal([full]);
  });

  it('restores the point to a file that equals the source, and refuses to cancel what has ended', async () => {
    const path = join(api.fleet.restores, 'out.raw');
    const body = { backup_id: incremental.id, target: { type: 'file', path }, format: 'raw' };
    const answer = await api.call('POST', 'restores', { as: 'operator', body });
    expect(answer.status, answer.text).to.equal(202);
    fits(RestoreAccepted, answer.body);
    const { restore_id } = answer.body;
    expect((await api.fleet.ended(restore_id)).status).to.equal('completed');
    expect((await readFile(path)).equals(await readFile(source().path))).to.equal(true);
    const restore: Restore = await api.read(`restores/${restore_id}`, Restore);
    expect(restore).to.deep.include({ backup_id: incremental.id, target: body.target, verify: true });
    expect((await api.read(`restores?backup_id=${incremental.id}`, RestorePage)).items).to.deep.equal([
      restore,
    ]);
    expect((await api.read('restores?status=failed', RestorePage)).items).to.deep.equal([]);
    fits(Job, await api.read(`jobs/${restore_id}`, Job));
    isProblem(await api.call('POST', `restores/${restore_id}/cancel`), 409, 'wrong_state');
  });

  it('validates the chain and shows the report in the job', async () => {
    const { body: backup } = await api.call('GET', `backups/${full.id}`);
    const path = `chains/${backup.chain_id}/validate`;
    const answer = await api.call('POST', path, { as: 'operator', body: { level: 'quick' } });
    expect(answer.status, answer.text).to.equal(202);
    fits(JobAccepted, answer.body);
    expect((await api.fleet.ended(answer.body.job_id)).status).to.equal('completed');
    const job: Job = await api.read(`jobs/${answer.body.job_id}`, Job);
    expect(job).to.include({ kind: 'maintenance', type: 'validate', chain_id: backup.chain_id });
    expect(job.result).to.be.an('object');
    const chain: Chain = await api.read(`chains/${backup.chain_id}`, Chain);
    expect(chain.last_validated_at).to.be.a('string');
  });

  it('cancels a waiting backup, and says so again when asked again', async () => {
    await api.fleet.stopWorking();
    const body = { vm_name: 'web 1', repository_id: 'main', backup_type: 'incremental' };
    const { body: accepted } = await api.call('POST', 'backups', { body });
    const id = accepted.disk_results[0].backup_id;
    const path = `backups/${id}/cancel`;
    const first = await api.call('POST', path, { as: 'operator' });
    expect(first.status, first.text).to.equal(200);
    fits(CancelResult, first.body);
    expect(first.body).to.deep.equal({ id, status: 'cancelled', accepted: true });
    expect((await api.call('POST', path, { body: {} })).body).to.deep.equal({
      ...first.body,
      accepted: false,
    });
    expect((await api.read(`backups/${id}`, Backup)).error.code).to.equal('cancelled');
  });
});
