import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Simulation } from '../../src/contract/index.js';
import { BackupJob } from '../../src/entities/index.js';
import { retain } from '../../src/producers/keeper/retention.js';
import { writeAt } from '../helpers/disks.js';
import { createVmOfDisks, type EndedPoint, expectSame } from '../helpers/vmOfDisks.js';
import { openApi, type TestApi } from '../integration/producers/http/support.js';

const BLOCK = 65_536;

describe('Retention of a VM', () => {
  let api: TestApi;
  before(async () => {
    api = await openApi();
    api.fleet.work();
  });
  after(() => api.close());

  const retainAndWait = async () => {
    await retain(api.fleet.accept, 0);
    const jobs = await api.fleet.suite.ds.query<{ id: string }[]>(
      `SELECT id FROM maintenance_jobs WHERE type = 'consolidate' AND completed_at IS NULL`,
    );
    for (const { id } of jobs) expect(await api.fleet.ended(id)).to.include({ status: 'completed' });
  };

  it('lesson 25: backups that failed, or whose file has become empty, do not count and evict no good one', async () => {
    const vm = await createVmOfDisks(api.fleet, { name: 'evicted', ids: [0], sizeBytes: 16 * BLOCK });
    const points: EndedPoint[] = [];
    const backUp = async (path?: string) => {
      await writeAt(vm.path(0), (points.length + 6) * BLOCK, BLOCK);
      const source = { type: 'file', path: path ?? vm.path(0), format: 'raw' } as const;
      points.push(await vm.backUp('auto', [{ disk_id: 0, source }]));
    };
    for (let n = 0; n < 3; n++) await backUp();
    for (let n = 0; n < 3; n++) await backUp(join(api.fleet.sources, 'nothing.raw'));
    expect(points.map(({ point }) => point.status).join(' ')).to.equal(
      'completed completed completed failed failed failed',
    );
    const [oldest, middle, empty] = points.map(({ backups }) => backups[0] ?? expect.fail());
    await truncate(join(api.fleet.repositoryRoot, empty?.repositoryPath ?? ''), 0);
    const validation = await api.call('POST', `chains/${empty?.chainId}/validate`, {
      body: { level: 'quick' },
    });
    await api.fleet.ended(validation.body.job_id);
    const { body: policy } = await api.call('POST', 'policies', {
      body: { name: 'two', vms: [points[0]?.point.vmContextId], keep: { last: 2 } },
    });
    const kept = async () => {
      const { vms } = (await api.read(`policies/${policy.id}/simulate`, Simulation)) as Simulation;
      return (vms[0]?.points ?? []).filter(({ keep, state }) => keep && state === 'good');
    };
    const good = (...wanted: (EndedPoint | undefined)[]) => wanted.map((each) => each?.point.id);
    expect((await kept()).map((each) => each.restore_point_id)).to.deep.equal(good(points[1], points[0]));
    await retainAndWait();
    const rowOf = (id = '') => api.fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
    const rows = [await rowOf(oldest?.id), await rowOf(middle?.id)];
    expect(rows.map(({ status }) => status)).to.deep.equal(['completed', 'completed']);
    await expectSame(api.fleet, rows);
    // A new good one does count: then the oldest goes, and what stood on it is whole.
    await backUp();
    expect((await kept()).map((each) => each.restore_point_id)).to.deep.equal(good(points[6], points[1]));
    await retainAndWait();
    expect((await rowOf(oldest?.id)).status).to.equal('expired');
    await expectSame(api.fleet, [await rowOf(middle?.id), await rowOf(points[6]?.backups[0]?.id)]);
  });
});
