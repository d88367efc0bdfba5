import { join } from 'node:path';
import { expect } from 'chai';
import { acceptBackup } from '../../../../src/producers/accept/index.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';

const LIMIT = 3;

describe('A backlog that is full', () => {
  let fleet: TestFleet;
  before(async () => {
    fleet = await openFleet({ backlogLimit: LIMIT });
  });
  after(() => fleet.close());

  const accept = (vm_name: string, disks = 1) =>
    acceptBackup(fleet.accept, {
      vm_name,
      repository_id: 'main',
      backup_type: 'full',
      disks: Array.from({ length: disks }, (_, disk_id) => ({
        disk_id,
        source: { type: 'file' as const, path: join(fleet.sources, 'any.raw'), format: 'raw' as const },
      })),
    });
  const rows = async () => {
    const [row] = await fleet.suite.ds.query<{ n: string }[]>('SELECT COUNT(*) AS n FROM backup_jobs');
    return Number(row?.n);
  };

  it('refuses the request that comes after the limit, at once, and leaves nothing of it', async () => {
    await accept('a', 2);
    await accept('b');
    expect(await codeOf(accept('c'))).to.equal('backlog_full');
    expect(await codeOf(accept('c'))).to.equal('backlog_full');
    expect(await rows()).to.equal(LIMIT);
  });

  it('takes work again soon after there is room', async () => {
    await fleet.suite.ds.query(
      `UPDATE backup_jobs SET status = 'cancelled' WHERE status IN ('queued', 'released')`,
    );
    await fleet.accept.clock.sleep(150);
    await accept('c');
    expect(await rows()).to.equal(LIMIT + 1);
  });

  it('is seen within a second where another process has filled it', async () => {
    const { length } = await Promise.all(
      Array.from({ length: LIMIT }, (_, index) => index).map((index) =>
        fleet.suite.ds.query(
          `INSERT INTO backup_jobs (id, chain_id, seq, status, created_at, restore_point_id, vm_context_id, disk_id, repository_id, requested_type, request)
           SELECT CONCAT(id, '_', ?), chain_id, seq + 100 + ?, 'queued', created_at, restore_point_id, vm_context_id, disk_id, repository_id, requested_type, request
           FROM backup_jobs ORDER BY id LIMIT 1`,
          [index, index],
        ),
      ),
    );
    expect(length).to.equal(LIMIT);
    await fleet.accept.clock.sleep(1_050);
    expect(await codeOf(accept('d'))).to.equal('backlog_full');
  });
});
