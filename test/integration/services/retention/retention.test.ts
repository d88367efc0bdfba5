import { randomBytes } from 'node:crypto';
import { copyFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { type RestorePointWithBackups, Simulation } from '../../../../src/contract/index.js';
import { retain } from '../../../../src/producers/keeper/retention.js';
import { runPolicies } from '../../../../src/producers/schedules/runPolicies.js';
import { sparingLastSound } from '../../../../src/services/consolidation/plan.js';
import { aLayer } from '../../../helpers/layer.js';
import { runTool } from '../../../helpers/runTool.js';
import { isProblem, openApi, type TestApi } from '../../producers/http/support.js';

const DISKS = [0, 7];
const BYTES = 1 << 20;

describe('Retention', function () {
  this.timeout(120_000);
  let api: TestApi;
  let vm: string;
  let policy: string;
  /** Restore points, oldest first. */
  const points: string[] = [];

  before(async () => {
    api = await openApi();
    api.fleet.work();
    for (const disk of DISKS) await writeFile(sourceOf(disk), randomBytes(BYTES));
    const disks = DISKS.map((disk_id) => ({
      disk_id,
      source: { type: 'file', path: sourceOf(disk_id), format: 'raw' },
    }));
    const { body } = await api.call('PUT', 'vms', { body: { vm_name: 'web', repository_id: 'main', disks } });
    vm = body.vm_context_id;
    const made = await api.call('POST', 'policies', {
      body: { name: 'nightly', vms: [vm], backup_type: 'auto', keep: { daily: 3 } },
    });
    policy = made.body.id;
    for (let day = 0; day < 7; day++) await backUp();
  });
  after(() => api.close());

  const sourceOf = (disk: number) => join(api.fleet.sources, `${disk}.raw`);
  const savedOf = (point: string, disk: number) => join(api.fleet.suite.tempDir, `${point}-${disk}.saved`);
  const sql = <T>(text: string, values: unknown[] = []) => api.fleet.suite.ds.query<T>(text, values);

  /** A day passes, and the policy runs. */
  const backUp = async () => {
    await sql('UPDATE restore_points SET created_at = created_at - INTERVAL 1 DAY WHERE vm_context_id = ?', [
      vm,
    ]);
    for (const disk of DISKS) {
      const block = randomBytes(4096).toString('latin1').charCodeAt(0) % 16;
      await runTool(
        'qemu-io',
        '-f',
        'raw',
        '-c',
        `write -q -P ${block} ${block * 65536} 65536`,
        sourceOf(disk),
      );
    }
    const { body } = await api.call('POST', `policies/${policy}/run`);
    const run = await api.call('GET', `policies/${policy}/runs/${body.id}`);
    const point = String(run.body.vms[0].restore_point_id);
    const jobs = await sql<{ id: string }[]>('SELECT id FROM backup_jobs WHERE restore_point_id = ?', [
      point,
    ]);
    for (const { id } of jobs) expect(await api.fleet.ended(id)).to.include({ status: 'completed' });
    for (const disk of DISKS) await copyFile(sourceOf(disk), savedOf(point, disk));
    await runPolicies(api.fleet.accept);
    points.push(point);
  };
  const readPoint = async (id: string): Promise<RestorePointWithBackups> =>
    (await api.call('GET', `restore-points/${id}`)).body;
  const compare = async (id: string) => {
    for (const { repository_path, disk_id } of (await readPoint(id)).backups) {
      const image = join(api.fleet.repositoryRoot, repository_path ?? '');
      await runTool('qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', savedOf(id, disk_id), image);
    }
  };
  const simulate = (): Promise<Simulation> => api.read(`policies/${policy}/simulate`, Simulation);
  const retainAndWait = async () => {
    await retain(api.fleet.accept, 0);
    const jobs = await sql<{ id: string }[]>(
      `SELECT id FROM maintenance_jobs WHERE type = 'consolidate' AND status IN ('queued', 'released', 'running')`,
    );
    for (const { id } of jobs) expect(await api.fleet.ended(id)).to.include({ status: 'completed' });
    return jobs.length;
  };
  const completed = async () => {
    const rows = await sql<{ restore_point_id: string; n: string }[]>(
      `SELECT restore_point_id, COUNT(*) AS n FROM backup_jobs WHERE status = 'completed' GROUP BY restore_point_id`,
    );
    return new Map(rows.map((row) => [row.restore_point_id, Number(row.n)]));
  };

  it('spares a point that is protected, and one that a restore waits for, for all disks', async () => {
    const [first = '', second = ''] = points;
    const until = '2090-01-01T00:00:00.000Z';
    const body = { protected_until: until };
    isProblem(await api.call('PATCH', `restore-points/${first}`, { body, as: 'operator' }), 403, 'forbidden');
    const past = await api.call('PATCH', `restore-points/${first}`, {
      body: { protected_until: '2001-01-01T00:00:00Z' },
    });
    expect(isProblem(past, 400, 'invalid_request')).to.deep.equal(['protected_until']);
    // One disk of two is enough.
    const held = (await readPoint(first)).backups[1]?.id ?? '';
    expect((await api.call('PATCH', `backups/${held}`, { body })).body.protected_until).to.equal(until);
    await api.fleet.stopWorking();
    const backup_id = (await readPoint(second)).backups[0]?.id;
    const target = { type: 'file', path: join(api.fleet.restores, 'second.raw') };
    const restore = await api.call('POST', 'restores', { body: { backup_id, target, format: 'raw' } });
    await retain(api.fleet.accept, 0);
    api.fleet.work();
    expect(await api.fleet.ended(restore.body.restore_id)).to.include({ status: 'completed' });
    await retainAndWait();
    const left = await completed();
    expect(left.get(first)).to.equal(2);
    expect(left.get(second)).to.equal(2);
    expect(left.get(points[2] ?? '')).to.equal(undefined);
    for (const id of left.keys()) await compare(id);
  });

  it('removes exactly what simulate has said, the disks of a point together, and keeps the rest byte for byte', async () => {
    const [first = ''] = points;
    await api.call('PATCH', `restore-points/${first}`, { body: { protected_until: null } });
    const told = await simulate();
    const keep = told.vms[0]?.points.filter((point) => point.keep).map((point) => point.restore_point_id);
    expect(keep).to.deep.equal(points.slice(-3).reverse());
    expect(await retainAndWait()).to.equal(DISKS.length);
    expect(await completed()).to.deep.equal(new Map(points.slice(-3).map((id) => [id, DISKS.length])));
    for (const id of points.slice(-3)) await compare(id);
    expect(await simulate()).to.include({ keep: 3, remove: 0 });
    expect(await retainAndWait()).to.equal(0);
  });

  it('gives the room back: a directory holds the files of kept points only', async () => {
    const folders = new Set(
      (await readPoint(points.at(-1) ?? '')).backups.map(({ repository_path: path }) =>
        join(path ?? '', '..'),
      ),
    );
    for (const folder of folders) {
      const names = await readdir(join(api.fleet.repositoryRoot, folder));
      expect(names.filter((name) => name.endsWith('.qcow2'))).to.have.length(3);
    }
  });

  it('goes on with backups and merges day after day, and every kept point stays what it was', async () => {
    for (let day = 0; day < 4; day++) {
      await backUp();
      await retainAndWait();
      expect([...(await completed()).keys()]).to.have.members(points.slice(-3));
      for (const id of points.slice(-3)) await compare(id);
    }
  });

  it('never removes the last point that can be relied on, also when the newer ones turn bad after the decision', () => {
    const layer = (id: string, seq: number, health: 'ok' | 'damaged') => aLayer(id, { seq, health });
    const bad = [layer('a', 1, 'ok'), layer('b', 2, 'ok'), layer('c', 3, 'damaged')];
    expect(sparingLastSound(bad, ['a', 'b'])).to.deep.equal(['a']);
    const good = [layer('a', 1, 'ok'), layer('b', 2, 'ok'), layer('c', 3, 'ok')];
    expect(sparingLastSound(good, ['a', 'b'])).to.deep.equal(['a', 'b']);
  });
});
