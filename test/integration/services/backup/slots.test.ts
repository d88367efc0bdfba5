import { join } from 'node:path';
import { expect } from 'chai';
import { acceptBackup } from '../../../../src/producers/accept/index.js';
import { makeDisk } from '../../../helpers/disks.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';

const JOBS = 8;

describe('The parallel jobs of a repository', () => {
  let fleet: TestFleet;
  before(async () => {
    fleet = await openFleet();
    await makeDisk(join(fleet.sources, 'disk.raw'), 1024 * 1024, [[0, 300_000]]);
  });
  after(() => fleet.close());

  const accept = async (index: number) => {
    const answer = await acceptBackup(fleet.accept, {
      vm_name: `vm${index}`,
      repository_id: 'main',
      backup_type: 'full',
      disks: [{ disk_id: 0, source: { type: 'file', path: join(fleet.sources, 'disk.raw'), format: 'raw' } }],
    });
    return answer.disk_results[0]?.backup_id ?? '';
  };

  it('are never more than its limit, fleet-wide, and all of them get their turn without the keeper', async () => {
    await fleet.suite.ds.query('UPDATE repositories SET max_parallel_jobs = 2');
    fleet.work(4);
    fleet.work(4);
    const ids = await Promise.all(Array.from({ length: JOBS }, (_, index) => accept(index)));
    let most = 0;
    let parked = 0;
    const look = async () => {
      const [row] = await fleet.suite.ds.query<{ running: string; parked: string }[]>(
        "SELECT SUM(status = 'running') AS running, SUM(parked_at IS NOT NULL) AS parked FROM backup_jobs",
      );
      most = Math.max(most, Number(row?.running));
      parked = Math.max(parked, Number(row?.parked));
    };
    const all = Promise.all(ids.map((id) => fleet.ended(id)));
    const over = all.then(() => 'over');
    while ((await Promise.race([over, fleet.accept.clock.sleep(5)])) !== 'over') await look();
    expect((await all).map(({ status }) => status)).to.deep.equal(ids.map(() => 'completed'));
    expect(most).to.be.within(1, 2);
    expect(parked, 'jobs that waited without a queue entry').to.be.greaterThan(0);
  });

  it('that were parked when everything stopped are woken by the keeper', async () => {
    await fleet.stopWorking();
    const id = await accept(100);
    await fleet.suite.ds.query(
      'UPDATE backup_jobs SET parked_at = UTC_TIMESTAMP(3), delivery = delivery + 1 WHERE id = ?',
      [id],
    );
    fleet.work();
    await fleet.accept.clock.sleep(300);
    expect(
      (
        await fleet.suite.ds.query<{ status: string }[]>('SELECT status FROM backup_jobs WHERE id = ?', [id])
      )[0]?.status,
    ).to.equal('released');
    await fleet.sweep();
    expect((await fleet.ended(id)).status).to.equal('completed');
  });
});
