import { addMaintenanceJob } from '../../../../src/db/job/addJob.js';
import { expect } from 'chai';
import { recordEvents } from '../../../../src/db/job/events.js';
import { inTransaction } from '../../../../src/db/transaction.js';
import type { MaintenanceType } from '../../../../src/entities/index.js';
import { createLogger } from '../../../../src/observability/logger.js';
import { createHistoryKeeper } from '../../../../src/producers/keeper/history.js';
import { systemClock } from '../../../../src/shared/clock.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../../helpers/openSuite.js';
import { addVm } from '../../../helpers/rows.js';

describe('Maintenance jobs that ended long ago', () => {
  let suite: DatabaseSuite;
  let vms = 0;
  beforeEach(async () => {
    suite = await openDatabaseSuite();
  });
  afterEach(() => suite.close());

  const newChain = async () => (await addVm(suite.ds, `vm${++vms}`)).ids.chainId;
  /** A job that ended so many days ago; `status` may say that it has not. */
  const job = async (
    chainId: string,
    daysAgo: number,
    type: MaintenanceType = 'validate',
    status = 'completed',
  ) => {
    const { id } = await inTransaction(suite.ds, (tx) =>
      addMaintenanceJob(tx, { chainId, type, params: {}, now: new Date() }),
    );
    await suite.ds.query(
      `UPDATE maintenance_jobs SET status = ?, created_at = UTC_TIMESTAMP(3) - INTERVAL ? DAY,
         completed_at = IF(?, UTC_TIMESTAMP(3) - INTERVAL ? DAY, NULL) WHERE id = ?`,
      [status, daysAgo, status === 'completed', daysAgo, id],
    );
    await suite.ds.query(
      `INSERT INTO job_steps (job_id, step, fence, state, started_at) VALUES (?, 'x', 1, 'done', UTC_TIMESTAMP(3))`,
      [id],
    );
    return id;
  };
  const left = async () =>
    (await suite.ds.query<{ id: string }[]>('SELECT id FROM maintenance_jobs ORDER BY id')).map(
      ({ id }) => id,
    );
  const keep = () =>
    createHistoryKeeper(
      { ds: suite.ds, clock: systemClock, log: createLogger({ level: 'silent', role: 'test' }) },
      90,
    )();

  it('leave the database with their journals, and those of the time that is documented stay', async () => {
    const chain = await newChain();
    const old = [await job(chain, 400), await job(chain, 91)];
    const young = [await job(chain, 89), await job(chain, 1)];
    await keep();
    expect(await left()).to.deep.equal(young.toSorted());
    const steps = await suite.ds.query<unknown[]>('SELECT 1 FROM job_steps WHERE job_id IN (?)', [old]);
    expect(steps).to.deep.equal([]);
  });

  it('stay while they are the last of their type on their chain, open, or of a chain that is being switched', async () => {
    const [first, second, switched] = [await newChain(), await newChain(), await newChain()];
    const last = [await job(first, 400), await job(first, 400, 'consolidate'), await job(second, 400)];
    const open = [await job(second, 400, 'reconcile', 'running'), await job(second, 399, 'reconcile')];
    await job(switched, 400);
    await job(switched, 300);
    const { insertBackup } = await addVm(suite.ds, 'other');
    const backup = await insertBackup({ type: 'full', status: 'completed', parent: null, fence: 1 });
    await suite.ds.query('UPDATE backup_chains SET merging_backup_id = ? WHERE id = ?', [backup, switched]);
    const before = await left();
    await keep();
    expect(await left()).to.deep.equal(before);
    expect(before).to.include.members([...last, ...open]);
    await suite.ds.query('UPDATE backup_chains SET merging_backup_id = NULL');
    await keep();
    expect(await left()).to.have.length(before.length - 1);
  });

  it('stay until every webhook has been told of them', async () => {
    const chain = await newChain();
    const told = await job(chain, 400);
    await job(chain, 1);
    await suite.ds.query(
      `INSERT INTO webhooks (id, name, url, enabled, secret, created_at) VALUES ('whk_1', 'w', 'http://127.0.0.1:9/', 1, 's', UTC_TIMESTAMP(3))`,
    );
    await inTransaction(suite.ds, (tx) =>
      recordEvents(tx, [{ type: 'maintenance.completed', subjectId: told }]),
    );
    await keep();
    expect(await left()).to.include(told);
    await suite.ds.query(`UPDATE outbox_events SET body = '{}', state = 'delivered'`);
    await keep();
    expect(await left()).not.to.include(told);
  });
});
