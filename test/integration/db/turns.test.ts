import { addMaintenanceJob } from '../../../src/db/job/addJob.js';
import { expect } from 'chai';
import { cancelJob } from '../../../src/db/job/settle.js';
import { stepAside } from '../../../src/db/job/stepAside.js';
import { releaseHeadless } from '../../../src/db/job/sweep.js';
import { isAnotherWaiting, isReadWaiting } from '../../../src/db/job/waiting.js';
import { inTransaction } from '../../../src/db/transaction.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../helpers/openSuite.js';
import { openTurnChain, WAIT_MS } from '../../helpers/turnChain.js';

describe('The turns of a chain', () => {
  let suite: DatabaseSuite;
  let vms = 0;
  before(async () => {
    suite = await openDatabaseSuite();
  });
  after(() => suite.close());
  const newChain = () => openTurnChain(suite, `turn${++vms}`);

  /** A chain with a completed backup, behind which another waits for room. */
  const withWaitingHead = async () => {
    const chain = await newChain();
    const done = await chain.backup();
    await chain.ends(await chain.begin(done));
    const head = await chain.backup();
    const kept = await chain.waits(await chain.begin(head));
    expect(kept, 'nobody else: the head keeps its turn').to.deep.include({ jobId: head, delivery: 2 });
    expect(kept?.delayMs).to.be.within(50_000, WAIT_MS);
    return { ...chain, done, head };
  };

  it('are not kept by a backup that waits for room: a restore accepted behind it runs at once, and then the backup', async () => {
    const { head, done, status, acquire, begin, ends, restore, isDue } = await withWaitingHead();
    const restoring = await restore(done);
    expect(await status(restoring)).to.equal('released');
    expect(await status(head)).to.equal('queued');
    expect((await acquire(head, 2)).outcome, 'the entry that waited').to.equal('nothing_to_do');
    const lease = await begin(restoring);
    expect((await acquire(head)).outcome).to.equal('nothing_to_do');
    await isDue(head);
    expect((await ends(lease))?.jobId).to.equal(head);
    await ends(await begin(head));
    expect(await status(head)).to.equal('completed');
  });

  it('go back to the backup with the rest of its pause, where the restore was quicker', async () => {
    const { head, done, begin, ends, restore } = await withWaitingHead();
    const next = await ends(await begin(await restore(done)));
    expect(next).to.deep.include({ jobId: head, delivery: 3 });
    expect(next?.delayMs).to.be.within(40_000, WAIT_MS);
    expect(next?.note).to.include('no_space');
  });

  it('are given to a restore that stood behind a running backup, in the moment in which that begins to wait', async () => {
    const { backup, restore, begin, waits, ends, status } = await newChain();
    const done = await backup();
    await ends(await begin(done));
    const head = await backup();
    const lease = await begin(head);
    const [merge, restoring] = [await backup(), await restore(done)];
    expect(await status(restoring)).to.equal('queued');
    expect(await waits(lease)).to.deep.include({ jobId: restoring, delayMs: 0 });
    expect([await status(head), await status(merge)]).to.deep.equal(['queued', 'queued']);
  });

  it('do not pass a backup that only pauses after a failed attempt', async () => {
    const { begin, waits, head, restore, done, status, isDue } = await withWaitingHead();
    await isDue(head);
    const failure = { code: 'nbd_connection_lost', detail: 'x' };
    expect(await waits(await begin(head), 2_000, failure)).to.include({ jobId: head });
    expect(await status(await restore(done))).to.equal('queued');
    expect(await status(head)).to.equal('released');
  });

  it('are never given to a merge or a backup in front of a backup that waits', async () => {
    const { head, backup, maintenance, status, chainId } = await withWaitingHead();
    const others = [await maintenance('consolidate'), await backup()];
    for (const id of others) expect(await status(id)).to.equal('queued');
    await releaseHeadless(suite.ds);
    for (const id of others) expect(await status(id)).to.equal('queued');
    expect(await status(head)).to.equal('released');
    expect(await isReadWaiting(suite.ds, chainId)).to.equal(false);
  });

  it('pass a backup whose change list is to come, which has its turn when the list is there', async () => {
    const { backup, begin, ends, restore, maintenance, status } = await newChain();
    const done = await backup();
    await ends(await begin(done));
    const head = await backup(true);
    const restoring = await restore(done);
    expect([await status(head), await status(restoring)]).to.deep.equal(['queued', 'released']);
    const validating = await maintenance('validate');
    expect(await status(validating), 'one at a time').to.equal('queued');
    expect((await ends(await begin(restoring)))?.jobId).to.equal(validating);
    await suite.ds.query('UPDATE backup_jobs SET awaits_extents_until = NULL WHERE id = ?', [head]);
    expect((await ends(await begin(validating)))?.jobId).to.equal(head);
  });

  it('of backups do not end because a restore waits for room on its target', async () => {
    const { backup, begin, ends, restore, waits, status } = await newChain();
    const done = await backup();
    await ends(await begin(done));
    const restoring = await restore(done);
    await waits(await begin(restoring));
    const next = await backup();
    expect([await status(restoring), await status(next)]).to.deep.equal(['queued', 'released']);
    expect((await ends(await begin(next)))?.jobId).to.equal(restoring);
  });

  it('alternate between a backup and a restore that both wait, by the time at which each is tried again', async () => {
    const { head, done, begin, waits, restore, status } = await withWaitingHead();
    const restoring = await restore(done);
    expect(await waits(await begin(restoring), 5_000)).to.include({ jobId: restoring });
    expect(await waits(await begin(restoring), 90_000)).to.include({ jobId: head });
    expect([await status(head), await status(restoring)]).to.deep.equal(['released', 'queued']);
  });

  it('are given back by a cancelled head to all behind it', async () => {
    const { head, done, restore, backup, begin, ends } = await withWaitingHead();
    const [restoring, next] = [await restore(done), await backup()];
    expect((await cancelJob(suite.ds, 'backup', head)).next, 'the restore has the turn').to.equal(undefined);
    expect((await ends(await begin(restoring)))?.jobId).to.equal(next);
  });

  it('of what makes room are had before the backup that waits for it, after a restore that runs already', async () => {
    const { head, done, chainId, restore, begin, ends, row } = await withWaitingHead();
    const lease = await begin(await restore(done));
    const removal = await inTransaction(suite.ds, async (tx) => {
      const place = await stepAside(tx, chainId);
      expect(place?.status).to.equal('queued');
      return addMaintenanceJob(
        tx,
        { chainId, type: 'consolidate', params: { remove: [] }, now: new Date() },
        place,
      );
    });
    expect(Number((await row(removal.id)).seq)).to.be.lessThan(Number((await row(head)).seq));
    expect((await ends(lease))?.jobId).to.equal(removal.id);
    expect((await ends(await begin(removal.id)))?.jobId).to.equal(head);
  });

  it('of a deep validation are not broken by backups that cannot run', async () => {
    const { head, chainId, maintenance, begin, backup, isDue } = await withWaitingHead();
    await begin(await maintenance('validate'));
    await backup();
    expect(await isAnotherWaiting(suite.ds, chainId)).to.equal(false);
    await isDue(head);
    expect(await isAnotherWaiting(suite.ds, chainId)).to.equal(true);
  });

  it('that an older version left to a head which waits are put right by the keeper', async () => {
    const { head, done, restore, row, status } = await withWaitingHead();
    const restoring = await restore(done);
    await suite.ds.query("UPDATE restore_jobs SET status = 'queued' WHERE id = ?", [restoring]);
    await suite.ds.query("UPDATE backup_jobs SET status = 'released' WHERE id = ?", [head]);
    const { delivery } = await row(head);
    const found = await releaseHeadless(suite.ds);
    expect(found.map(({ jobId }) => jobId)).to.include(restoring);
    expect([await status(head), (await row(head)).delivery]).to.deep.equal(['queued', delivery + 1]);
  });
});
