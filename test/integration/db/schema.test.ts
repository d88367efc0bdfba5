import { expect } from 'chai';
import { MIGRATIONS } from '../../../migrations/index.js';
import { addMaintenanceJob } from '../../../src/db/job/addJob.js';
import { openLine } from '../../../src/db/job/line.js';
import { inTransaction } from '../../../src/db/transaction.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../helpers/openSuite.js';
import { readSchema } from '../../helpers/schemaCopy.js';
import { addVm } from '../../helpers/rows.js';

describe('The schema', () => {
  let suite: DatabaseSuite;
  before(async () => {
    suite = await openDatabaseSuite(undefined, { byMigrations: true });
  });
  after(() => suite.close());

  const refused = async (sql: string, values: unknown[] = []): Promise<string> => {
    try {
      await suite.ds.query(sql, values);
    } catch (error) {
      return (error as Error).message;
    }
    return 'accepted';
  };

  it('has no drift against the entities after the migrations', async () => {
    const { upQueries } = await suite.ds.driver.createSchemaBuilder().log();
    expect(upQueries.map(({ query }) => query)).to.deep.equal([]);
  });

  it('is the same in the copies of it that other tests work on', async () => {
    const copy = await openDatabaseSuite();
    try {
      const [made, copied] = await Promise.all(
        [suite, copy].map(({ databaseSocketPath, databaseName }) =>
          readSchema(databaseSocketPath, databaseName),
        ),
      );
      expect(copied).to.equal(made);
      expect(await copy.ds.runMigrations()).to.deep.equal([]);
    } finally {
      await copy.close();
    }
  });

  it('is left alone by a second run of the migrations', async () => {
    expect(await suite.ds.runMigrations()).to.deep.equal([]);
  });

  it('can be taken down and built again, the line of a repository with its job included', async () => {
    await suite.ds.query(
      `INSERT INTO repositories (id, name, type, root_path, pool, created_at) VALUES ('repo_1', 'lined', 'local', '/lined', 'default', UTC_TIMESTAMP(3))`,
    );
    await inTransaction(suite.ds, async (tx) => {
      const chainId = await openLine(tx, 'repo_1');
      await addMaintenanceJob(tx, { chainId, type: 'rebuild', params: { dry_run: true }, now: new Date() });
    });
    for (const _ of MIGRATIONS) await suite.ds.undoLastMigration();
    expect(await suite.ds.query<unknown[]>("SHOW TABLES LIKE 'backup_jobs'")).to.deep.equal([]);
    expect(await suite.ds.runMigrations()).to.have.length(MIGRATIONS.length);
  });

  it('keeps a chain linear: one parent has at most one completed incremental', async () => {
    const { insertBackup } = await addVm(suite.ds, 'linear');
    const full = await insertBackup({ type: 'full', status: 'completed', parent: null });
    await insertBackup({ type: 'incremental', status: 'completed', parent: full });
    const second = insertBackup({ type: 'incremental', status: 'completed', parent: full });
    expect(
      await second.then(
        () => 'accepted',
        (error: Error) => error.message,
      ),
    ).to.contain('uq_backup_jobs_successor_of');
  });

  it('lets several differentials stand on one full', async () => {
    const { insertBackup } = await addVm(suite.ds, 'differential');
    const full = await insertBackup({ type: 'full', status: 'completed', parent: null });
    await insertBackup({ type: 'differential', status: 'completed', parent: full });
    await insertBackup({ type: 'differential', status: 'completed', parent: full });
  });

  it('calls nothing completed that has no file, no size or no content id', async () => {
    const { insertBackup } = await addVm(suite.ds, 'complete');
    const running = await insertBackup({ type: 'full', status: 'running', parent: null, fence: 1 });
    expect(
      await refused(
        "UPDATE backup_jobs SET status = 'completed', completed_at = UTC_TIMESTAMP(3), content_id = NULL WHERE id = ?",
        [running],
      ),
    ).to.contain('ck_backup_jobs_completed');
  });

  it('refuses an incremental without a parent and a full with one', async () => {
    const { insertBackup } = await addVm(suite.ds, 'parents');
    const full = await insertBackup({ type: 'full', status: 'completed', parent: null });
    const orphan = insertBackup({ type: 'incremental', status: 'completed', parent: null });
    expect(
      await orphan.then(
        () => 'accepted',
        (error: Error) => error.message,
      ),
    ).to.contain('ck_backup_jobs');
    const odd = insertBackup({ type: 'full', status: 'completed', parent: full });
    expect(
      await odd.then(
        () => 'accepted',
        (error: Error) => error.message,
      ),
    ).to.contain('ck_backup_jobs_parent');
  });

  it('erases no backup because a VM, a disk, a chain or a repository is deleted', async () => {
    const { insertBackup, ids } = await addVm(suite.ds, 'cascade');
    const full = await insertBackup({ type: 'full', status: 'completed', parent: null });
    expect(await refused('DELETE FROM vm_contexts WHERE vm_context_id = ?', [ids.vmContextId])).to.contain(
      'foreign key',
    );
    expect(await refused('DELETE FROM vm_disks WHERE vm_context_id = ?', [ids.vmContextId])).to.contain(
      'foreign key',
    );
    expect(await refused('DELETE FROM backup_chains WHERE id = ?', [ids.chainId])).to.contain('foreign key');
    expect(await refused('DELETE FROM repositories WHERE id = ?', [ids.repositoryId])).to.contain(
      'foreign key',
    );
    await insertBackup({ type: 'incremental', status: 'completed', parent: full });
    expect(await refused('DELETE FROM backup_jobs WHERE id = ?', [full])).to.contain('foreign key');
  });

  it('tells names apart by case, and VMs of one name by their upstream', async () => {
    const insert = (name: string, upstream: string) =>
      refused(
        'INSERT INTO vm_contexts (vm_context_id, vm_name, upstream_id, repository_id, created_at) SELECT UUID(), ?, ?, id, UTC_TIMESTAMP(3) FROM repositories LIMIT 1',
        [name, upstream],
      );
    expect(await insert('Web', '')).to.equal('accepted');
    expect(await insert('web', '')).to.equal('accepted');
    expect(await insert('web', 'site-b')).to.equal('accepted');
    expect(await insert('web', 'site-b')).to.contain('uq_vm_contexts_name');
  });
});
