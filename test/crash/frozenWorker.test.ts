import { expect } from 'chai';
import { BackupJob } from '../../src/entities/index.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { expectInOrder } from '../helpers/inOrder/index.js';
import { keptUntil } from '../helpers/keeping.js';
import { startNbdkit } from '../helpers/nbdServers.js';
import { restoreAll } from '../helpers/restoreAll.js';
import { createTrackedVm, type Ledger, type TrackedVm } from '../helpers/trackedVm.js';
import { startWorkerProcess } from '../helpers/workerProcess.js';

const SIZE = 4 * 1024 * 1024;
const LEASE_MS = 1_500;
/** Moments at which the worker is frozen, in ms after it has begun to work; more of them in the soak run. */
const MOMENTS = (process.env.STRATA_FREEZE_MOMENTS ?? '30,250,700').split(',').map(Number);

describe('A worker that is frozen for longer than its lease', () => {
  let fleet: TestFleet;
  let vm: TrackedVm;
  const ledger: Ledger = { accepted: [], points: [] };
  before(async () => {
    fleet = await openFleet({ lease: { leaseMs: LEASE_MS, renewEveryMs: 400 } });
    vm = await createTrackedVm(fleet, ledger, { name: 'frozen', sizeBytes: SIZE, pieces: [[0, 2_000_000]] });
  });
  after(() => fleet.close());

  it('commits nothing and publishes nothing when it wakes: its job is done once, by another', async function () {
    this.timeout(MOMENTS.length * 30_000);
    for (const [index, moment] of MOMENTS.entries()) {
      await vm.change(index * 300_000, 200_000);
      const zombie = startWorkerProcess(fleet, 'backup');
      const server = await startNbdkit('--filter=delay', 'file', vm.disk, 'rdelay=10ms');
      try {
        const id = await vm.accept('auto', { source: { type: 'nbd', uri: server.uri() } });
        while (!zombie.output().includes('"working"') && zombie.child.exitCode === null)
          await fleet.accept.clock.sleep(20);
        await fleet.accept.clock.sleep(moment);
        zombie.child.kill('SIGSTOP');
        await fleet.accept.clock.sleep(LEASE_MS * 2);
        fleet.work();
        // A worker may have been frozen with the chain's row locked, which the server ends.
        const end = await keptUntil(fleet, () => fleet.ended(id, 45_000));
        expect(end.status, `frozen after ${moment} ms: ${end.error_detail}`).to.equal('completed');
        await fleet.stopWorking();
        zombie.child.kill('SIGCONT');
        await fleet.accept.clock.sleep(1_000);
        const row = await fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
        expect(row.status).to.equal('completed');
      } finally {
        await zombie.stop();
        await server.stop();
      }
    }
    fleet.work();
    await restoreAll(fleet, ledger);
    const ends = await expectInOrder(fleet, ledger);
    for (const [id, { status }] of ends) expect(status, id).to.equal('completed');
  });
});
