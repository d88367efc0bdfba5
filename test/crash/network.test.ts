import { expect } from 'chai';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import type { FleetProcess } from '../helpers/fleetProcess.js';
import { expectInOrder } from '../helpers/inOrder/index.js';
import { keptUntil } from '../helpers/keeping.js';
import { type NbdServer, startNbdkit } from '../helpers/nbdServers.js';
import { type Proxy, startProxy } from '../helpers/proxy.js';
import { createTrackedVm, type Ledger, type TrackedVm } from '../helpers/trackedVm.js';
import { startWorkerProcess } from '../helpers/workerProcess.js';

const SIZE = 4 * 1024 * 1024;
/** The shortest that the product accepts: a connection that owes an answer for so long is given up. */
const ANSWER_MS = 3_000;
/** A backup of the slow disk, the answer's time, a lease, and the longest time for which BullMQ blocks. */
const RECOVERED_MS = 40_000;
const CUTS = Number(process.env.STRATA_CUTS ?? 12);

describe('A worker behind a bad network', () => {
  let fleet: TestFleet;
  let worker: FleetProcess;
  let database: Proxy;
  let redis: Proxy;
  const vms: { vm: TrackedVm; source: NbdServer }[] = [];
  const ledger: Ledger = { accepted: [], points: [] };
  before(async function () {
    this.timeout(60_000);
    fleet = await openFleet({ lease: { leaseMs: 3_000, renewEveryMs: 500, maxAttempts: 3 } });
    database = await startProxy(fleet.suite.databaseSocketPath);
    redis = await startProxy(fleet.suite.redisSocketPath);
    for (const name of ['a', 'b']) {
      const vm = await createTrackedVm(fleet, ledger, { name, sizeBytes: SIZE, pieces: [[0, 2_000_000]] });
      vms.push({ vm, source: await startNbdkit('--filter=delay', 'file', vm.disk, 'rdelay=15ms') });
    }
    const { databaseUser, databaseName } = fleet.suite;
    worker = startWorkerProcess(fleet, 'backup', {
      STRATA_DATABASE_URL: `mariadb://${databaseUser}@127.0.0.1:${database.port}/${databaseName}`,
      STRATA_REDIS_URL: `redis://127.0.0.1:${redis.port}`,
      STRATA_ANSWER_MS: String(ANSWER_MS),
    });
    await worker.said('working');
  });
  after(async function () {
    this.timeout(60_000);
    await worker.stop();
    for (const { source } of vms) await source.stop();
    await database.close();
    await redis.close();
    await fleet.close();
  });

  const acceptAll = async (changed: number) => {
    const ids: string[] = [];
    for (const { vm, source } of vms) {
      await vm.change(changed, 300_000);
      ids.push(await vm.accept('auto', { source: { type: 'nbd', uri: source.uri() } }));
    }
    return ids;
  };
  const begun = async (id: string) => {
    while (
      (
        await fleet.suite.ds.query<unknown[]>(
          "SELECT 1 FROM backup_jobs WHERE id = ? AND status = 'running'",
          [id],
        )
      ).length === 0
    )
      await fleet.accept.clock.sleep(10);
  };
  const allEnd = (ids: readonly string[]) =>
    keptUntil(fleet, () => Promise.all(ids.map((id) => fleet.ended(id, RECOVERED_MS))));
  const expectDone = async (ids: readonly string[]) => {
    for (const { status, error_detail } of await allEnd(ids))
      expect(status, `${error_detail}\n${worker.output()}`).to.equal('completed');
    expect(worker.child.exitCode, worker.output()).to.equal(null);
  };

  it('goes on when its connections are cut, again and again', async () => {
    const ids = await acceptAll(0);
    const cutting = (async () => {
      for (let cut = 0; cut < CUTS; cut++) {
        await fleet.accept.clock.sleep(100 + cut * 7);
        if (cut % 3 !== 1) database.cut();
        if (cut % 3 !== 0) redis.cut();
      }
    })();
    await Promise.all([cutting, expectDone(ids)]);
  });

  it('notices a database that is gone without a word, and opens connections anew', async () => {
    const ids = await acceptAll(300_000);
    await begun(ids[0] ?? '');
    const before = database.accepted();
    database.halfOpen();
    await expectDone(ids);
    expect(database.accepted()).to.be.greaterThan(before);
  });

  it('notices a Redis that is gone without a word, and takes the next jobs', async () => {
    const before = redis.accepted();
    redis.halfOpen();
    await expectDone(await acceptAll(900_000));
    expect(redis.accepted()).to.be.greaterThan(before);
  });

  it('stops the work when nothing passes for longer than its leases, and takes it up when it does', async () => {
    const ids = await acceptAll(1_200_000);
    await begun(ids[0] ?? '');
    database.swallow();
    redis.swallow();
    await fleet.accept.clock.sleep(ANSWER_MS * 2);
    database.pass();
    redis.pass();
    await expectDone(ids);
  });

  it('leaves everything in order', async () => {
    await expectInOrder(fleet, ledger);
  });
});
