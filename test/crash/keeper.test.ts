import { expect } from 'chai';
import { acquireLease } from '../../src/db/job/acquire.js';
import { BackupJob } from '../../src/entities/index.js';
import { createSweeper } from '../../src/producers/keeper/sweep.js';
import { entryId } from '../../src/queue/catalogue.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { type FleetProcess, startFleetProcess } from '../helpers/fleetProcess.js';
import { expectInOrder } from '../helpers/inOrder/index.js';
import { createRandom } from '../helpers/random.js';
import { createTrackedVm, type Ledger, type TrackedVm } from '../helpers/trackedVm.js';

const SWEEP_MS = 200;
/** Four rounds of a dead leader's lease, a round of the other, and a machine that has much else to do. */
const TAKEN_OVER_MS = 8_000;
const LEASE_MS = 2_000;
const FREEZES = Number(process.env.STRATA_KEEPER_FREEZES ?? 2);
const VMS = ['a', 'b', 'c', 'd'];

describe('Keepers', () => {
  let fleet: TestFleet;
  const keepers: FleetProcess[] = [];
  const vms: TrackedVm[] = [];
  const ledger: Ledger = { accepted: [], points: [] };
  before(async function () {
    this.timeout(60_000);
    fleet = await openFleet({ lease: { leaseMs: LEASE_MS, renewEveryMs: 500, maxAttempts: 3 } });
    for (const name of VMS)
      vms.push(await createTrackedVm(fleet, ledger, { name, sizeBytes: 1024 * 1024, pieces: [[0, 50_000]] }));
  });
  after(async function () {
    this.timeout(60_000);
    await Promise.all(keepers.map((keeper) => keeper.stop()));
    await fleet.close();
  });

  const startKeeperProcess = async () => {
    const env = { STRATA_SWEEP_MS: String(SWEEP_MS) };
    const keeper = startFleetProcess(fleet, { entry: 'keeper', env });
    keepers.push(keeper);
    await keeper.said('keeping');
    return keeper;
  };
  const leader = async () => {
    const rows = await fleet.suite.ds.query<{ owner: string }[]>(
      "SELECT owner FROM leader_leases WHERE name = 'keeper'",
    );
    const pid = Number(rows[0]?.owner.split(':').at(-2));
    return keepers.find(({ child }) => child.pid === pid);
  };
  const anotherLeads = async (than: FleetProcess | undefined) => {
    const began = performance.now();
    for (;;) {
      const now = await leader();
      if (now && now !== than) return performance.now() - began;
      if (performance.now() - began > TAKEN_OVER_MS) throw new Error('Nobody else leads.');
      await fleet.accept.clock.sleep(20);
    }
  };
  const queue = () => {
    const [found] = fleet.queue.queues(['default']);
    if (!found) throw new Error('There is no queue of backups.');
    return found;
  };
  /** Accepts a backup of every VM, and loses the queue entry of each, as an emptied Redis does. */
  const acceptLost = async (of: readonly TrackedVm[]) => {
    const ids: string[] = [];
    for (const vm of of) ids.push(await vm.accept('auto'));
    for (const id of ids) await queue().remove(entryId(id, 1));
    return ids;
  };
  const allCompleted = async (ids: readonly string[]) => {
    for (const id of ids) {
      const { status, error_detail } = await fleet.ended(id, 30_000);
      expect(status, `${id}: ${error_detail}`).to.equal('completed');
    }
  };

  it('may both think that they lead: nothing is lost, and nothing is done twice', async () => {
    const { ds, queue: queues, clock, log } = fleet.accept;
    const { metrics, lease } = fleet.worker;
    const other = createSweeper({ ds, queue: queues, clock, log, metrics, stuckMs: lease.leaseMs });
    const ids = [...(await acceptLost(vms)), ...(await acceptLost(vms))];
    const random = createRandom(2);
    const done = Promise.all(ids.map((id) => fleet.ended(id, 30_000)));
    const over = done.then(() => true);
    fleet.work();
    while (!(await Promise.race([over, clock.sleep(random.integer(0, 30)).then(() => false)])))
      await Promise.all([fleet.sweep(), other(), clock.sleep(random.integer(0, 30)).then(fleet.sweep)]);
    await allCompleted(ids);
    const rows = await ds.getRepository(BackupJob).find();
    expect(rows.map(({ attempts, deaths }) => [attempts, deaths])).to.deep.equal(ids.map(() => [1, 0]));
  });

  it('put right by hand-made disorder: each job whose entry is gone, failed or foreign, and a chain without a head', async () => {
    await fleet.stopWorking();
    const { ds } = fleet.suite;
    const [gone, failed, dead, headless] = (await Promise.all(vms.map((vm) => vm.accept('auto')))) as [
      string,
      string,
      string,
      string,
    ];
    await queue().remove(entryId(gone, 1));
    await failEntry(failed);
    await failEntry(dead);
    const acquired = await acquireLease(ds, {
      kind: 'backup',
      jobId: dead,
      delivery: 1,
      owner: 'dead',
      leaseMs: LEASE_MS,
    });
    expect(acquired.outcome).to.equal('acquired');
    await ds.query("UPDATE backup_jobs SET status = 'queued' WHERE id = ?", [headless]);
    await queue().remove(entryId(headless, 1));
    // Nobody has accepted these; BullMQ keeps the second as failed, for people to see.
    await queue().add('backup', { v: 1, job_id: 'bkp_00000000000000000000000000', delivery: 1 });
    await queue().add('backup', { what: 'is this' }, { removeOnFail: true });
    await startKeeperProcess();
    fleet.work();
    await allCompleted([gone, failed, dead, headless]);
    const rows = await ds
      .getRepository(BackupJob)
      .find({ where: ledger.accepted.slice(-4).map((id) => ({ id })) });
    for (const { id, attempts, deaths } of rows)
      expect([attempts, deaths], id).to.deep.equal([1, id === dead ? 1 : 0]);
  });

  /** As a worker leaves it that dies between BullMQ's answer and the database's. */
  const failEntry = async (id: string) => {
    const { keys } = queue();
    const entry = entryId(id, 1);
    await fleet.worker.redis
      .multi()
      .lrem(keys.wait ?? '', 0, entry)
      .zadd(keys.failed ?? '', 1, entry)
      .exec();
    expect(await queue().getJobState(entry)).to.equal('failed');
  };

  it('of which the leader is killed have another leader, which goes on', async () => {
    await startKeeperProcess();
    await anotherLeads(undefined);
    const first = await leader();
    first?.child.kill('SIGKILL');
    await first?.gone;
    const ids = await acceptLost(vms.slice(0, 2));
    await anotherLeads(first);
    await allCompleted(ids);
  });

  it('of which the leader is frozen have another, and when it thaws nothing stale is done', async function () {
    this.timeout(FREEZES * 40_000);
    await startKeeperProcess();
    const random = createRandom(3);
    for (let freeze = 0; freeze < FREEZES; freeze++) {
      const ids = await acceptLost(vms.slice(0, 2));
      const frozen = await leader();
      await fleet.accept.clock.sleep(random.integer(0, 250));
      frozen?.child.kill('SIGSTOP');
      await anotherLeads(frozen);
      ids.push(...(await acceptLost(vms.slice(0, 2))));
      frozen?.child.kill('SIGCONT');
      await allCompleted(ids);
    }
    const rows = await fleet.suite.ds.getRepository(BackupJob).findBy({ status: 'completed' });
    expect(rows.map(({ attempts }) => attempts)).to.deep.equal(rows.map(() => 1));
  });

  it('of which the leader is stopped give the lead away at once', async () => {
    const first = await leader();
    await first?.stop();
    expect(first?.child.exitCode, first?.output()).to.equal(0);
    expect(await anotherLeads(first)).to.be.lessThan(SWEEP_MS * 3);
  });

  it('leave everything in order', async () => {
    await expectInOrder(fleet, ledger);
  });
});
