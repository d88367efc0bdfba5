import { type JobStatus } from '../../../src/shared/jobs.js';
import { expect } from 'chai';
import { commitBackup } from '../../../src/db/job/commitBackup.js';
import { lead, readLeader, resignLead, takeLead } from '../../../src/db/fleet/lead.js';
import { acquireLease } from '../../../src/db/job/acquire.js';
import { assertLease, type ChainLease, renewLease } from '../../../src/db/job/lease.js';
import { lockChain, releaseHead, takePosition } from '../../../src/db/job/position.js';
import { cancelJob, endUnsuccessfully, releaseAgain } from '../../../src/db/job/settle.js';
import { redeliverAbandoned, runningJobs } from '../../../src/db/job/sweep.js';
import { inTransaction } from '../../../src/db/transaction.js';
import { systemClock } from '../../../src/shared/clock.js';
import { codeOf } from '../../helpers/codeOf.js';
import { type DatabaseSuite, openDatabaseSuite } from '../../helpers/openSuite.js';
import { addVm, publishedFull } from '../../helpers/rows.js';

const LEASE_MS = 60_000;
describe('The lease of a chain', () => {
  let suite: DatabaseSuite;
  let vms = 0;
  before(async () => {
    suite = await openDatabaseSuite();
  });
  after(() => suite.close());

  const newChain = async () => addVm(suite.ds, `vm${++vms}`);
  const acquire = (jobId: string, owner = 'a', leaseMs = LEASE_MS, delivery = 1) =>
    acquireLease(suite.ds, { kind: 'backup', jobId, delivery, owner, leaseMs });
  const mustAcquire = async (
    jobId: string,
    owner = 'a',
    leaseMs = LEASE_MS,
    delivery = 1,
  ): Promise<ChainLease> => {
    const acquired = await acquire(jobId, owner, leaseMs, delivery);
    if (acquired.outcome !== 'acquired') throw new Error(acquired.outcome);
    return acquired.lease;
  };
  const expire = (lease: ChainLease) =>
    suite.ds.query(
      'UPDATE backup_chains SET lease_until = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND WHERE id = ?',
      [lease.chainId],
    );
  /** What the keeper does with a job whose worker it takes for dead. */
  const giveAway = async (id: string) => {
    const job = (await runningJobs(suite.ds)).find(({ delivery }) => delivery.jobId === id);
    if (!job) throw new Error(`${id} does not run.`);
    return redeliverAbandoned(suite.ds, job);
  };
  const statusOf = async (id: string) =>
    (await suite.ds.query<{ status: string }[]>('SELECT status FROM backup_jobs WHERE id = ?', [id]))[0]
      ?.status;

  it('is given to one holder; another waits until it has run out', async () => {
    const { insertBackup } = await newChain();
    const job = await insertBackup({ type: null, status: 'released', parent: null });
    const first = await mustAcquire(job);
    expect((await acquire(job, 'b')).outcome).to.equal('held');
    await expire(first);
    const second = await mustAcquire(job, 'b');
    expect(second.fence).to.equal(first.fence + 1);
    expect(second, 'a dead holder is no attempt of the job').to.include({ attempt: 1, deaths: 1 });
  });

  it('lets a holder whose fence is old renew, commit, fail and hand back nothing', async () => {
    const { insertBackup } = await newChain();
    const job = await insertBackup({ type: null, status: 'released', parent: null });
    const zombie = await mustAcquire(job);
    await expire(zombie);
    const holder = await mustAcquire(job, 'b');
    expect(await codeOf(renewLease(suite.ds, zombie, LEASE_MS))).to.equal('lease_lost');
    expect(await codeOf(assertLease(suite.ds, zombie, LEASE_MS))).to.equal('lease_lost');
    expect(await codeOf(commitBackup(suite.ds, zombie, publishedFull('z')))).to.equal('lease_lost');
    const failure = { code: 'internal', detail: 'x' };
    expect(await codeOf(endUnsuccessfully(suite.ds, zombie, 'failed', failure))).to.equal('lease_lost');
    expect(await codeOf(releaseAgain(suite.ds, zombie, { delayMs: 0, keepAttempt: true, failure }))).to.equal(
      'lease_lost',
    );
    expect(await statusOf(job)).to.equal('running');
    await commitBackup(suite.ds, holder, publishedFull('h'));
    expect(await statusOf(job)).to.equal('completed');
    expect(await codeOf(commitBackup(suite.ds, holder, publishedFull('h2'))), 'a second commit').to.equal(
      'lease_lost',
    );
  });

  it('is prolonged after it has run out, as long as nobody has it: the database’s clock may have been set', async () => {
    const { insertBackup } = await newChain();
    const job = await insertBackup({ type: null, status: 'released', parent: null });
    const lease = await mustAcquire(job);
    await expire(lease);
    await renewLease(suite.ds, lease, LEASE_MS);
    await expire(lease);
    await assertLease(suite.ds, lease, LEASE_MS);
    const [seen] = (await runningJobs(suite.ds)).filter(({ delivery }) => delivery.jobId === job);
    expect(seen?.leftMs, 'the check before publishing prolongs it too').to.be.above(0);
    await expire(lease);
    expect(await giveAway(job)).to.include({ jobId: job, delivery: 2 });
    expect(await codeOf(renewLease(suite.ds, lease, LEASE_MS)), 'the keeper gave it away').to.equal(
      'lease_lost',
    );
    expect(await codeOf(assertLease(suite.ds, lease, LEASE_MS))).to.equal('lease_lost');
    expect(await codeOf(commitBackup(suite.ds, lease, publishedFull('x')))).to.equal('lease_lost');
  });

  it('is left to its holder who has renewed it since the keeper saw it run out', async () => {
    const { insertBackup } = await newChain();
    const job = await insertBackup({ type: null, status: 'released', parent: null });
    const lease = await mustAcquire(job);
    await expire(lease);
    const seen = (await runningJobs(suite.ds)).find(({ delivery }) => delivery.jobId === job);
    expect(seen?.leftMs).to.be.lessThan(0);
    await renewLease(suite.ds, lease, LEASE_MS);
    expect(seen && (await redeliverAbandoned(suite.ds, seen))).to.equal(undefined);
    await assertLease(suite.ds, lease, LEASE_MS);
  });

  it('is not given to a stale queue entry', async () => {
    const { insertBackup } = await newChain();
    const job = await insertBackup({ type: null, status: 'released', parent: null });
    const lease = await mustAcquire(job);
    await expire(lease);
    expect(await giveAway(job)).to.include({ jobId: job, delivery: 2 });
    expect((await acquire(job, 'b', LEASE_MS, 1)).outcome).to.equal('nothing_to_do');
    expect((await acquire(job, 'b', LEASE_MS, 2)).outcome).to.equal('acquired');
  });

  it('goes to the jobs of a chain in the order of their positions, and the next is released by the end of the one before', async () => {
    const { ids, insertBackup } = await newChain();
    const jobs: string[] = [];
    for (const status of ['released', 'queued', 'queued', 'queued'] as JobStatus[]) {
      jobs.push(await insertBackup({ type: null, status, parent: null }));
    }
    const [first, second, third, fourth] = jobs as [string, string, string, string];
    expect(
      await inTransaction(suite.ds, (tx) => releaseHead(tx, ids.chainId)),
      'while the head is open',
    ).to.equal(undefined);
    expect((await acquire(second)).outcome, 'a queued job').to.equal('nothing_to_do');
    expect((await commitBackup(suite.ds, await mustAcquire(first), publishedFull('1')))?.jobId).to.equal(
      second,
    );
    const failure = { code: 'internal', detail: 'x' };
    const failed = await endUnsuccessfully(suite.ds, await mustAcquire(second), 'failed', failure);
    expect(failed?.jobId, 'a failure releases the next').to.equal(third);
    expect((await cancelJob(suite.ds, 'backup', third)).next?.jobId, 'a cancellation too').to.equal(fourth);
  });

  it('is given to one of many who ask at the same moment', async () => {
    const { insertBackup } = await newChain();
    const job = await insertBackup({ type: null, status: 'released', parent: null });
    const owners = Array.from({ length: 12 }, (_, index) => `owner${index}`);
    const outcomes = await Promise.all(owners.map(async (owner) => (await acquire(job, owner)).outcome));
    expect(outcomes.filter((outcome) => outcome === 'acquired')).to.have.length(1);
    expect(outcomes.filter((outcome) => outcome === 'held')).to.have.length(11);
  });

  it('is taken and committed with the chain locked first: who waits for it holds no other row', async () => {
    const { ids, insertBackup } = await newChain();
    const job = await insertBackup({ type: null, status: 'released', parent: null });
    const whileChainIsLocked = async <T>(work: () => Promise<T>): Promise<T> => {
      const waiting = await inTransaction(suite.ds, async (tx) => {
        await lockChain(tx, ids.chainId);
        const started = work();
        await systemClock.sleep(300);
        for (const sql of [
          `SELECT 1 FROM backup_jobs WHERE id = '${job}' FOR UPDATE NOWAIT`,
          `SELECT 1 FROM vm_disks WHERE vm_context_id = '${ids.vmContextId}' FOR UPDATE NOWAIT`,
          `SELECT 1 FROM restore_points WHERE id = '${ids.restorePointId}' FOR UPDATE NOWAIT`,
        ])
          await tx.query(sql);
        return { started };
      });
      return waiting.started;
    };
    const lease = await whileChainIsLocked(() => mustAcquire(job));
    await whileChainIsLocked(() => commitBackup(suite.ds, lease, publishedFull('w')));
    expect(await statusOf(job)).to.equal('completed');
  });

  it('keeps the error of an attempt until one succeeds', async () => {
    const { insertBackup } = await newChain();
    const job = await insertBackup({ type: null, status: 'released', parent: null });
    const errorOf = async () =>
      (
        await suite.ds.query<Record<string, string | null>[]>(
          'SELECT error_code, error_detail FROM backup_jobs WHERE id = ?',
          [job],
        )
      )[0];
    const failure = { code: 'no_space', detail: 'full' };
    const tried = { delayMs: 0, keepAttempt: true, failure };
    expect((await releaseAgain(suite.ds, await mustAcquire(job), tried))?.first, 'failed').to.equal(false);
    const stopped = { delayMs: 0, keepAttempt: false, failure };
    const handedBack = await releaseAgain(suite.ds, await mustAcquire(job, 'a', LEASE_MS, 2), stopped);
    expect(handedBack?.first, 'handed back by a worker that stops').to.equal(true);
    const second = await mustAcquire(job, 'b', LEASE_MS, 3);
    expect(await errorOf()).to.deep.equal({ error_code: 'no_space', error_detail: 'full' });
    await commitBackup(suite.ds, second, publishedFull('again'));
    expect(await errorOf()).to.deep.equal({ error_code: null, error_detail: null });
  });

  it('gives positions without gaps or doubles to producers that come at once', async () => {
    const { ids } = await newChain();
    const taken = await Promise.all(
      Array.from({ length: 20 }, () => inTransaction(suite.ds, (tx) => takePosition(tx, ids.chainId))),
    );
    const wanted = taken.map((_, index) => index + 1);
    expect(taken.map(({ seq }) => seq).sort((a, b) => a - b)).to.deep.equal(wanted);
  });

  it('tells its holder that the job was cancelled', async () => {
    const { insertBackup } = await newChain();
    const job = await insertBackup({ type: null, status: 'released', parent: null });
    const lease = await mustAcquire(job);
    expect(await cancelJob(suite.ds, 'backup', job)).to.deep.include({ status: 'running', accepted: true });
    expect(await renewLease(suite.ds, lease, LEASE_MS)).to.deep.equal({ cancelRequested: true, rate: null });
    await endUnsuccessfully(suite.ds, lease, 'cancelled', { code: 'cancelled', detail: '' });
    expect(await cancelJob(suite.ds, 'backup', job)).to.deep.include({
      status: 'cancelled',
      accepted: false,
    });
  });

  it('of the keeper goes to one process, and to another when the first is dead', async () => {
    const all = await Promise.all(['a', 'b', 'c'].map((owner) => lead(suite.ds, 'role', owner, LEASE_MS)));
    expect(all.filter(Boolean)).to.have.length(1);
    await suite.ds.query('UPDATE leader_leases SET lease_until = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND');
    expect(await lead(suite.ds, 'role', 'd', LEASE_MS)).to.equal(true);
    expect(await lead(suite.ds, 'role', 'd', LEASE_MS)).to.equal(true);
    expect(await lead(suite.ds, 'role', 'a', LEASE_MS)).to.equal(false);
  });

  it('of the keeper is taken only from a leader who has not renewed it, and is free when it is given back', async () => {
    await lead(suite.ds, 'other', 'a', LEASE_MS);
    const seen = await readLeader(suite.ds, 'other');
    if (!seen) throw new Error('Nobody leads.');
    await suite.ds.query(
      "UPDATE leader_leases SET lease_until = lease_until + INTERVAL 1 SECOND WHERE name = 'other'",
    );
    expect(await takeLead(suite.ds, 'other', 'b', LEASE_MS, seen)).to.equal(false);
    const again = await readLeader(suite.ds, 'other');
    if (!again) throw new Error('Nobody leads.');
    expect(again.leftMs).to.be.within(LEASE_MS, LEASE_MS + 1_000);
    expect(await takeLead(suite.ds, 'other', 'b', LEASE_MS, again)).to.equal(true);
    await resignLead(suite.ds, 'other', 'a');
    expect(await lead(suite.ds, 'other', 'c', LEASE_MS)).to.equal(false);
    await resignLead(suite.ds, 'other', 'b');
    expect(await lead(suite.ds, 'other', 'c', LEASE_MS)).to.equal(true);
  });
});
