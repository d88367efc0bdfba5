import { expect } from 'chai';
import { acquireLease } from '../../../src/db/job/acquire.js';
import { takePosition } from '../../../src/db/job/position.js';
import { endUnsuccessfully } from '../../../src/db/job/settle.js';
import { inTransaction } from '../../../src/db/transaction.js';
import { newId } from '../../../src/shared/ids.js';
import { systemClock } from '../../../src/shared/clock.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../helpers/openSuite.js';
import { addVm } from '../../helpers/rows.js';

const DISKS = 12;

describe('A restore point of many disks', () => {
  let suite: DatabaseSuite;
  before(async () => {
    suite = await openDatabaseSuite();
  });
  after(() => suite.close());

  /** Adds a chain for another disk of the VM, with a released job of the same restore point. */
  const addDisk = async (ids: Awaited<ReturnType<typeof addVm>>['ids'], disk: number): Promise<string> => {
    const chainId = newId('chn', systemClock.now());
    const jobId = newId('bkp', systemClock.now());
    await suite.ds.query('INSERT INTO vm_disks (vm_context_id, disk_id) VALUES (?, ?)', [
      ids.vmContextId,
      disk,
    ]);
    await suite.ds.query('INSERT INTO backup_chains (id, vm_context_id, disk_id) VALUES (?, ?, ?)', [
      chainId,
      ids.vmContextId,
      disk,
    ]);
    await inTransaction(suite.ds, async (tx) => {
      const { seq } = await takePosition(tx, chainId);
      await tx.query(
        `INSERT INTO backup_jobs (id, chain_id, seq, status, created_at, restore_point_id, vm_context_id, disk_id, repository_id, requested_type, request)
         VALUES (?, ?, ?, 'released', UTC_TIMESTAMP(3), ?, ?, ?, ?, 'auto', '{}')`,
        [jobId, chainId, seq, ids.restorePointId, ids.vmContextId, disk, ids.repositoryId],
      );
    });
    return jobId;
  };

  it('has no deadlock when they all begin and end at once, and ends in the right state', async () => {
    const { ids } = await addVm(suite.ds, 'many');
    const jobs: string[] = [];
    for (let disk = 1; disk <= DISKS; disk++) jobs.push(await addDisk(ids, disk));
    await Promise.all(
      jobs.map(async (jobId) => {
        const acquired = await acquireLease(suite.ds, {
          kind: 'backup',
          jobId,
          delivery: 1,
          owner: jobId,
          leaseMs: 60_000,
        });
        if (acquired.outcome !== 'acquired') throw new Error(acquired.outcome);
        await endUnsuccessfully(suite.ds, acquired.lease, 'failed', { code: 'internal', detail: '' });
      }),
    );
    const [point] = await suite.ds.query<{ status: string; completed_at: Date | null }[]>(
      'SELECT status, completed_at FROM restore_points WHERE id = ?',
      [ids.restorePointId],
    );
    expect(point?.status).to.equal('failed');
    expect(point?.completed_at).not.to.equal(null);
  });
});
