import { expect } from 'chai';
import { addMaintenanceJob } from '../../src/db/job/addJob.js';
import { openLine } from '../../src/db/job/line.js';
import { inTransaction } from '../../src/db/transaction.js';
import { BackupChain, BackupJob, MaintenanceJob, RestorePoint } from '../../src/entities/index.js';
import type { RebuildResult } from '../../src/services/rebuild/run.js';
import { buildChain } from '../helpers/chainFixture.js';
import { type KillableAttempt, operationsOf, runAttempt } from '../helpers/killAttempt.js';
import { type DatabaseSuite, openDatabaseSuite } from '../helpers/openSuite.js';

/** Every operation in a long run; else every so many, others each day of the month. */
const STRIDE = Number(process.env.STRATA_KILL_STRIDE ?? 16);

describe('A rebuild of the catalogue that is killed in the middle', function () {
  this.timeout(300_000);
  let suite: DatabaseSuite;
  let repositoryId: string;
  let root: string;
  before(async () => {
    suite = await openDatabaseSuite();
    // Two disks of one repository, each with a full and three increments.
    const first = await buildChain(suite.ds, suite.tempDir);
    ({ repositoryId, root } = first);
    await buildChain(suite.ds, suite.tempDir, undefined, undefined, first);
  });
  after(() => suite.close());

  const forget = async () => {
    const { ds } = suite;
    await ds.query('UPDATE backup_chains SET latest_backup_id = NULL, full_backup_id = NULL');
    await ds.query("UPDATE backup_jobs SET parent_backup_id = NULL, status = 'failed'");
    for (const table of ['job_steps', 'maintenance_jobs', 'backup_jobs', 'restore_points'])
      await ds.query(`DELETE FROM ${table}`);
    await ds.query('DELETE FROM backup_chains WHERE repository_id IS NULL');
    await ds.query('DELETE FROM vm_disks');
    await ds.query('DELETE FROM vm_contexts');
  };
  const addRebuild = async (): Promise<KillableAttempt & { jobId: string }> => {
    const { id } = await inTransaction(suite.ds, async (tx) => {
      const chainId = await openLine(tx, repositoryId);
      return addMaintenanceJob(tx, { chainId, type: 'rebuild', params: { dry_run: false }, now: new Date() });
    });
    return { suite, root, program: 'rebuildAttempt.js', args: [id], jobId: id };
  };
  const catalogue = async () => {
    const { ds } = suite;
    return {
      backups: await ds.getRepository(BackupJob).find({ order: { id: 'ASC' } }),
      points: await ds.getRepository(RestorePoint).find({ order: { id: 'ASC' } }),
      chains: (await ds.getRepository(BackupChain).find({ order: { id: 'ASC' } }))
        .filter(({ vmContextId }) => vmContextId !== null)
        .map(({ fence, committed, ...chain }) => ({ ...chain, open: fence - committed })),
    };
  };
  const resultOf = async (id: string) => {
    const job = await suite.ds.getRepository(MaintenanceJob).findOneByOrFail({ id });
    expect(job.status).to.equal('completed');
    return job.result as unknown as RebuildResult;
  };

  it('leaves each chain whole or not at all, and the next attempt ends with the catalogue and the report of one that nobody killed', async () => {
    await forget();
    const whole = await addRebuild();
    const operations = await operationsOf(whole);
    const wanted = { catalogue: await catalogue(), result: await resultOf(whole.jobId) };
    expect(wanted.result).to.include({ inserted: 8, existing: 0, refused: 0 });
    expect(wanted.result.chains.map(({ inserted }) => inserted)).to.deep.equal([4, 4]);
    expect(operations.length).to.be.greaterThan(20);
    for (const [n, operation] of operations.entries()) {
      if (n % STRIDE !== new Date().getDate() % STRIDE) continue;
      const context = `killed before ${operation}`;
      await forget();
      const attempt = await addRebuild();
      expect(await runAttempt(attempt, { STRATA_TEST_KILL_AT: String(n + 1) }), context).to.equal('SIGKILL');
      const { backups } = await catalogue();
      expect([0, 4, 8], context).to.include(backups.length);
      expect(await runAttempt(attempt, {}), context).to.equal('');
      expect(await catalogue(), context).to.deep.equal(wanted.catalogue);
      expect(await resultOf(attempt.jobId), context).to.deep.equal(wanted.result);
    }
  });
});
