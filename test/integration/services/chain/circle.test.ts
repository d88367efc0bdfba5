import { mkdtemp, writeFile } from 'node:fs/promises';
import { underLease } from '../../../../src/services/job/under.js';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupChain, BackupJob } from '../../../../src/entities/index.js';
import { lockChain } from '../../../../src/db/job/position.js';
import { inTransaction } from '../../../../src/db/transaction.js';
import { dryRunSyntheticFull } from '../../../../src/producers/accept/syntheticFull.js';
import { changeIdBelow, expireBackups, headOf, loadLayers } from '../../../../src/services/chain/index.js';
import { planRemoval } from '../../../../src/services/consolidation/index.js';
import { runRestore } from '../../../../src/services/restore/run.js';
import { loadPoints } from '../../../../src/services/retention/loadPoints.js';
import { asStrataError } from '../../../../src/shared/errors.js';
import { systemClock } from '../../../../src/shared/clock.js';
import { attemptBackup } from '../../../helpers/backupService.js';
import { addBackup, addRestore, hold } from '../../../helpers/chainJobs.js';
import { linearChain, type MergeBench, openMergeBench } from '../../../helpers/mergeBench.js';
import { codes, validate } from '../validation/support.js';
import { plan as planReconcile } from '../reconcile/support.js';

const SHORT_MS = 20_000;

describe('A chain whose rows go in a circle', function () {
  this.timeout(SHORT_MS);
  let bench: MergeBench;
  let disk: string;
  before(async () => {
    bench = await openMergeBench(linearChain(3));
    disk = join(await mkdtemp(join(bench.suite.tempDir, 'd-')), 'disk.raw');
    await writeFile(disk, bench.at(4).content);
  });
  after(() => bench.close());

  // By hand, as no job of Strata's does it: the first increment stands on the third.
  beforeEach(async () => {
    for (const table of ['maintenance_jobs', 'restore_jobs'])
      await bench.ds.query(`UPDATE ${table} SET status = 'failed' WHERE status <> 'failed'`);
    await bench.ds.query('DELETE FROM restore_jobs');
    await bench.reset();
    await bench.ds.getRepository(BackupJob).update(bench.at(2).id, { successorOf: null, status: 'expired' });
    await bench.ds
      .getRepository(BackupJob)
      .update(bench.at(2).id, { parentBackupId: bench.at(4).id, successorOf: bench.at(4).id });
    await bench.ds.getRepository(BackupJob).update(bench.at(2).id, { status: 'completed' });
  });

  const codeOf = async (work: () => Promise<unknown>): Promise<string> => {
    try {
      await work();
    } catch (error) {
      return asStrataError(error).code;
    }
    return 'no error';
  };
  const rows = async () =>
    (await bench.ds.getRepository(BackupJob).find({ order: { seq: 'ASC' } })).map(({ status }) => status);
  const UNTOUCHED = ['completed', 'completed', 'completed', 'completed'];

  const next = async (onBrokenChain: 'full' | 'fail'): Promise<string> => {
    const id = await addBackup(bench.ds, bench.chain, disk);
    await bench.ds.query(
      `UPDATE backup_jobs SET request = JSON_SET(request, '$.on_broken_chain', ?) WHERE id = ?`,
      [onBrokenChain, id],
    );
    await attemptBackup(bench.ds, id, join(disk, '..'));
    return id;
  };

  it('gets a full as its next backup, which says why and begins a new segment, or a refusal', async () => {
    expect(await codeOf(() => next('fail'))).to.equal('chain_broken');
    await bench.ds.query(`DELETE FROM backup_jobs WHERE status = 'running'`);
    await bench.ds.query('UPDATE backup_chains SET lease_until = NULL');
    const id = await next('full');
    const row = await bench.ds.getRepository(BackupJob).findOneByOrFail({ id });
    expect(row).to.include({ status: 'completed', backupType: 'full', demotedReason: 'parent_unreadable' });
    const chain = await bench.ds.getRepository(BackupChain).findOneByOrFail({ id: bench.chain.chainId });
    expect(chain).to.include({ latestBackupId: id, fullBackupId: id });
  });

  it('offers no change id', async () => {
    const { vm_name: vmName, repository_id: repositoryId } = bench.at(1).manifestContent;
    const named = { repositoryId, vmName, upstreamId: '', diskId: 0 };
    expect(await changeIdBelow(bench.ds, named, 'incremental')).to.equal(undefined);
    expect(await changeIdBelow(bench.ds, named, 'differential')).to.equal(undefined);
  });

  it('restores nothing above the circle, and what stands on a full', async () => {
    const restore = async (number: number) => {
      const path = join(disk, '..', `restored-${number}.raw`);
      const wanted = { backupId: bench.at(number).id, path, format: 'raw' as const };
      const id = await addRestore(bench.ds, bench.chain, wanted);
      await bench.ds.query(`UPDATE restore_jobs SET status = 'released' WHERE id = ?`, [id]);
      const deps = {
        ds: bench.ds,
        clock: systemClock,
        scratchDir: bench.suite.tempDir,
        restoreRoots: [join(disk, '..')],
      };
      const held = await hold(bench.ds, 'restore', id);
      return codeOf(() => runRestore(underLease(deps, held, () => undefined)));
    };
    expect(await restore(1)).to.equal('no error');
    expect(await restore(4)).to.equal('backup_damaged');
  });

  it('is named by a validation, which calls each backup of the circle suspect', async () => {
    const report = await validate(bench.ds, bench.chain);
    expect(codes(bench.chain, report)).to.include.members([
      '2:lineage_broken',
      '3:lineage_broken',
      '4:lineage_broken',
    ]);
    expect(report.affected).to.include.members([2, 3, 4].map((number) => bench.at(number).id));
  });

  it('refuses to merge or remove anything, or to make a full of its latest', async () => {
    const remove = await bench.add(bench.at(3));
    expect(await codeOf(() => bench.attempt(remove))).to.equal('lineage_broken');
    expect(
      await codeOf(async () => planRemoval(await loadLayers(bench.ds, bench.chain.chainId), [])),
    ).to.equal('lineage_broken');
    await bench.ds.query(`UPDATE maintenance_jobs SET status = 'failed'`);
    await bench.ds.query('UPDATE backup_chains SET lease_until = NULL');
    const full = await bench.addFull();
    expect(await codeOf(() => bench.attemptFull(full))).to.equal('lineage_broken');
    expect(await codeOf(() => dryRunSyntheticFull({ ds: bench.ds }, bench.chain.chainId))).to.equal(
      'lineage_broken',
    );
    expect(await rows()).to.deep.equal(UNTOUCHED);
  });

  it('has no head to advance to: a change of its layers is taken back, and the row of the chain is free at once', async () => {
    const { lease } = await hold(bench.ds, 'maintenance', await bench.add(bench.at(4)));
    expect(await codeOf(() => expireBackups(bench.ds, lease, [bench.at(4).id]))).to.equal('lineage_broken');
    expect(await rows()).to.deep.equal(UNTOUCHED);
    await inTransaction(bench.ds, (tx) => lockChain(tx, bench.chain.chainId));
    expect(await codeOf(async () => headOf(await loadLayers(bench.ds, bench.chain.chainId)))).to.equal(
      'lineage_broken',
    );
  });

  it('counts for retention with what stands on a full, and its other points are suspect', async () => {
    const points = await loadPoints(bench.ds, bench.at(1).manifestContent.vm_context_id);
    const states = new Map(points.map(({ id, state }) => [id, state]));
    expect(
      [1, 2, 3, 4].map((number) => states.get(bench.at(number).manifestContent.restore_point_id)),
    ).to.deep.equal(['good', 'suspect', 'suspect', 'suspect']);
  });

  it('moves no file in a reconciliation', async () => {
    expect(
      (await planReconcile(bench.ds, bench.chain)).filter((line) => !line.startsWith('leave')),
    ).to.deep.equal([]);
  });
});
