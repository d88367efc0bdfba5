import { expect } from 'chai';
import { copyFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  Backup,
  type Chain,
  Chain as ChainSchema,
  Consolidation,
  RepositorySpace,
  RestorePointWithBackups,
  Vm,
} from '../../../../src/contract/index.js';
import { createConsolidator } from '../../../../src/producers/keeper/consolidate.js';
import { compareImages } from '../../../../src/qcow2/index.js';
import { makeDisk, writeAt } from '../../../helpers/disks.js';
import { type Answer, fits, isProblem, openApi, type TestApi } from './support.js';

const SIZE = 2 * 1024 * 1024;
const DISKS = [0, 1];

interface Point {
  id: string;
  /** By disk. */
  backups: Backup[];
  saved: string[];
}

describe('Removal by the API', function () {
  this.timeout(120_000);
  let api: TestApi;
  let vmContextId = '';
  let points: Point[];
  const disk = (n: number) => join(api.fleet.sources, `disk${n}.raw`);

  beforeEach(async () => {
    api = await openApi();
    for (const n of DISKS) await makeDisk(disk(n), SIZE, [[0, SIZE / 2]]);
    api.fleet.work();
    points = [];
    for (const type of ['full', 'incremental', 'incremental']) points.push(await backUp(type));
  });
  afterEach(() => api.close());

  const backUp = async (type: string): Promise<Point> => {
    for (const n of DISKS) await writeAt(disk(n), 65536 * points.length, 70_000);
    const disks = DISKS.map((n) => ({ disk_id: n, source: { type: 'file', path: disk(n), format: 'raw' } }));
    const body = { vm_name: 'web', repository_id: 'main', backup_type: type, disks };
    const { body: accepted } = await api.call('POST', 'backups', { body });
    vmContextId = accepted.vm_context_id;
    const backups: Backup[] = [];
    const saved: string[] = [];
    for (const { backup_id } of accepted.disk_results) {
      expect((await api.fleet.ended(backup_id)).status).to.equal('completed');
      const backup: Backup = await api.read(`backups/${backup_id}`, Backup);
      backups.push(backup);
      const copy = join(api.fleet.suite.tempDir, `${backup_id}.raw`);
      await copyFile(disk(backup.disk_id), copy);
      saved.push(copy);
    }
    return { id: accepted.restore_point_id, backups, saved };
  };

  /** Waits for the jobs of an accepted removal. */
  const finish = async (answer: Answer): Promise<void> => {
    expect(answer.status, answer.text).to.equal(202);
    fits(Consolidation, answer.body);
    for (const { job } of (answer.body as Consolidation).chains) {
      if (!job) continue;
      const end = await api.fleet.ended(job.job_id);
      expect(end.status, `${end.error_code}: ${end.error_detail}`).to.equal('completed');
    }
  };

  const same = async ({ backups, saved }: Point): Promise<void> => {
    for (const [n, { id }] of backups.entries()) {
      const path = join(api.fleet.restores, `${id}.raw`);
      const body = { backup_id: id, target: { type: 'file', path }, format: 'raw' };
      const { body: accepted, text } = await api.call('POST', 'restores', { body });
      const end = await api.fleet.ended(accepted.restore_id ?? text);
      expect(end.status, end.error_detail ?? '').to.equal('completed');
      const raw = (file: string) => ({ type: 'file' as const, path: file, format: 'raw' as const });
      expect(await compareImages(raw(path), raw(saved[n] ?? ''))).to.include({ identical: true });
      await rm(path);
    }
  };

  const chainOf = (n: number): Promise<Chain> => api.read(`vms/${vmContextId}/disks/${n}/chain`, ChainSchema);
  const point = (n: number): Promise<RestorePointWithBackups> =>
    api.read(`restore-points/${points[n]?.id ?? ''}`, RestorePointWithBackups);
  const at = (n: number): Point => points[n] ?? { id: '', backups: [], saved: [] };

  it('takes a whole restore point away, a full too, merges it upward and keeps the others', async () => {
    await finish(await api.call('DELETE', `restore-points/${at(0).id}`));
    expect(await point(0)).to.include({ status: 'expired' });
    for (const n of DISKS) {
      const { backups, full_backup_id } = await chainOf(n);
      expect(backups.map(({ status }) => status)).to.deep.equal(['expired', 'completed', 'completed']);
      expect(full_backup_id).to.equal(at(1).backups[n]?.id);
      expect(backups[1]).to.include({ backup_type: 'full', parent_backup_id: null });
    }
    for (const n of [1, 2]) await same(at(n));
    isProblem(await api.call('DELETE', `restore-points/${at(0).id}`), 409, 'wrong_state');
  });

  it('takes one disk out of a restore point, which then says that it is not whole', async () => {
    await finish(await api.call('DELETE', `backups/${at(1).backups[0]?.id ?? ''}`));
    expect(await point(1)).to.include({ status: 'completed_with_warnings' });
    for (const n of [0, 2]) await same(at(n));
  });

  it('goes on with increments after a tip has gone', async () => {
    await finish(await api.call('DELETE', `restore-points/${at(2).id}`));
    points.push(await backUp('incremental'));
    const added = at(3).backups[0];
    expect(added).to.include({ backup_type: 'incremental', parent_backup_id: at(1).backups[0]?.id });
    for (const n of [0, 1, 3]) await same(at(n));
  });

  it('is safe when two remove different points of one chain at once', async () => {
    const answers = await Promise.all([0, 1].map((n) => api.call('DELETE', `restore-points/${at(n).id}`)));
    for (const answer of answers) await finish(answer);
    for (const n of DISKS) expect((await chainOf(n)).backups.at(-1)).to.include({ backup_type: 'full' });
    await same(at(2));
    const directory = join(api.fleet.repositoryRoot, at(2).backups[0]?.repository_path ?? '', '..');
    expect(await readdir(directory)).to.have.length(3);
  });

  it('shows beforehand what it will do, and does nothing', async () => {
    const before = await chainOf(0);
    const answer = await api.call('DELETE', `restore-points/${at(0).id}?dry_run=true`);
    expect(answer.status, answer.text).to.equal(200);
    fits(Consolidation, answer.body);
    const [full, next] = [0, 1].map((n) => at(n).backups[0]?.id ?? '');
    // Chains come in the order of their ids, which is no order of disks.
    const chain = answer.body.chains.find(({ chain_id }: { chain_id: string }) => chain_id === before.id);
    expect(chain.steps[0]).to.include({ action: 'merge', backup_id: next, onto: null });
    expect(chain.steps[0].removes).to.deep.equal([full]);
    expect(chain.job).to.equal(null);
    expect(await chainOf(0)).to.deep.equal(before);
  });

  it('is refused as a whole, with the reason, where one disk is protected, immutable or being restored', async () => {
    const { ds } = api.fleet.suite;
    const id = at(0).backups[1]?.id ?? '';
    await ds.query(
      'UPDATE backup_jobs SET protected_until = UTC_TIMESTAMP(3) + INTERVAL 1 DAY WHERE id = ?',
      [id],
    );
    const expectProtected = async () => {
      for (const path of [
        `restore-points/${at(0).id}`,
        `vms/${vmContextId}/backups`,
        `repositories/${api.fleet.repositoryId}/backups`,
      ]) {
        const refused = await api.call('DELETE', path);
        isProblem(refused, 409, 'backup_in_use');
        expect(refused.body.detail).to.contain('protected');
      }
    };
    await expectProtected();
    await ds.query('UPDATE backup_jobs SET protected_until = NULL WHERE id = ?', [id]);
    const immutable = (days: number) =>
      api.call('PATCH', `repositories/${api.fleet.repositoryId}`, { body: { immutable_days: days } });
    await immutable(1);
    await expectProtected();
    await immutable(0);
    await api.fleet.stopWorking();
    const target = { type: 'file', path: join(api.fleet.restores, 'x.raw') };
    await api.call('POST', 'restores', { body: { backup_id: id, target, format: 'raw' } });
    const refused = await api.call('DELETE', `restore-points/${at(0).id}`);
    isProblem(refused, 409, 'backup_in_use');
    expect(refused.body.detail).to.contain('in_use');
    for (const n of DISKS)
      expect((await chainOf(n)).backups.every(({ status }) => status === 'completed')).to.equal(true);
  });

  it('consolidates a chain to what is to be kept, but never the backup that completes meanwhile', async () => {
    const { id } = await chainOf(0);
    await api.fleet.stopWorking();
    const accepted = api.call('POST', `chains/${id}/consolidate`, { body: { keep: [at(2).backups[0]?.id] } });
    const answer = await accepted;
    api.fleet.work();
    points.push(await backUp('incremental'));
    await finish(answer);
    for (const n of [2, 3]) await same(at(n));
    const unknown = { keep: ['bkp_unknown'] };
    isProblem(await api.call('POST', `chains/${id}/consolidate`, { body: unknown }), 400, 'invalid_request');
  });

  it('makes a chain that is too long a full again by itself, and removes nothing', async () => {
    const patch = await api.call('PATCH', `repositories/${api.fleet.repositoryId}`, {
      body: { max_chain_length: 2 },
    });
    expect(patch.status, patch.text).to.equal(200);
    const consolidate = createConsolidator(api.fleet.accept, 30);
    await consolidate();
    await consolidate();
    const jobs = await api.fleet.suite.ds.query<{ id: string }[]>(
      `SELECT id FROM maintenance_jobs WHERE type = 'synthetic_full'`,
    );
    expect(jobs).to.have.length(DISKS.length);
    for (const { id } of jobs) expect((await api.fleet.ended(id)).status).to.equal('completed');
    await consolidate();
    for (const n of DISKS) {
      const { backups, full_backup_id } = await chainOf(n);
      expect(backups.map(({ status }) => status)).to.deep.equal(['completed', 'completed', 'completed']);
      expect(full_backup_id).to.equal(at(2).backups[n]?.id);
      expect(backups[2]).to.include({ backup_type: 'full', content_id: at(2).backups[n]?.content_id });
    }
    points.push(await backUp('incremental'));
    expect(at(3).backups[0]).to.include({ parent_backup_id: at(2).backups[0]?.id });
    for (const n of [0, 1, 2, 3]) await same(at(n));
  });

  it('shows who holds what, and what can come free', async () => {
    const path = `repositories/${api.fleet.repositoryId}/space`;
    const { ds } = api.fleet.suite;
    await ds.query(
      `UPDATE backup_jobs SET status = 'expired', expired_at = UTC_TIMESTAMP(3), successor_of = NULL WHERE id = ?`,
      [at(0).backups[0]?.id],
    );
    const space: RepositorySpace = await api.read(path, RepositorySpace);
    expect(space.quarantine).to.deep.equal({ files: 0, bytes: 0 });
    const [first, second] = space.chains.toSorted((a, b) => a.disk_id - b.disk_id);
    expect(first).to.include({ points: 2, reclaimable_bytes: at(0).backups[0]?.size_bytes });
    expect(second).to.include({ points: 3, reclaimable_bytes: 0 });
    // The keeper takes up what nobody sees to, and the space comes free.
    await createConsolidator(api.fleet.accept, 30)();
    const [job] = await ds.query<{ id: string }[]>('SELECT id FROM maintenance_jobs');
    expect((await api.fleet.ended(job?.id ?? '')).status).to.equal('completed');
    const after: RepositorySpace = await api.read(path, RepositorySpace);
    expect(after.chains.map(({ reclaimable_bytes }) => reclaimable_bytes)).to.deep.equal([0, 0]);
    for (const n of [1, 2]) await same(at(n));
  });

  it('empties a VM and a repository, which can then be removed', async () => {
    await finish(await api.call('DELETE', `vms/${vmContextId}/backups`));
    const vm: Vm = await api.read(`vms/${vmContextId}`, Vm);
    expect(vm.disks.every(({ retired_at }) => retired_at !== null)).to.equal(true);
    points.push(await backUp('full'));
    const path = `repositories/${api.fleet.repositoryId}`;
    isProblem(await api.call('DELETE', path), 409, 'repository_not_empty');
    await finish(await api.call('DELETE', `${path}/backups`));
    const removed = await api.call('DELETE', path);
    expect(removed.status, removed.text).to.equal(204);
  });
});
