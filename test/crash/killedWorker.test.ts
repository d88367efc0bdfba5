import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob, MaintenanceJob } from '../../src/entities/index.js';
import { acceptValidation } from '../../src/producers/accept/index.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { expectInOrder } from '../helpers/inOrder/index.js';
import { restoreAll } from '../helpers/restoreAll.js';
import { createTrackedVm, type Ledger, type TrackedVm } from '../helpers/trackedVm.js';
import { startWorkerProcess } from '../helpers/workerProcess.js';

const SIZE = 4 * 1024 * 1024;
const LEASE_MS = 1_500;
/** All points in the soak run; in the short one every so many, beginning anew each day of the month. */
const STRIDE = Number(process.env.STRATA_KILL_STRIDE ?? 9);

describe('A worker that is killed', () => {
  let fleet: TestFleet;
  let vm: TrackedVm;
  const ledger: Ledger = { accepted: [], points: [] };
  before(async () => {
    fleet = await openFleet({ lease: { leaseMs: LEASE_MS, renewEveryMs: 400 } });
    vm = await createTrackedVm(fleet, ledger, { name: 'victim', sizeBytes: SIZE, pieces: [[0, 500_000]] });
  });
  after(() => fleet.close());

  /** What the survivors do: the keeper sweeps once the lease has run out, and another worker takes over. */
  const recover = async (id: string) => {
    await fleet.accept.clock.sleep(LEASE_MS + 200);
    await fleet.sweep();
    fleet.work();
    try {
      return await fleet.ended(id, 30_000);
    } finally {
      await fleet.stopWorking();
    }
  };

  let operations: string[] = [];
  it('is counted first: a run to the end, with all the operations that change something', async () => {
    const log = join(fleet.suite.tempDir, 'operations');
    fleet.work();
    expect((await fleet.ended(await vm.accept('auto'))).status).to.equal('completed');
    await fleet.stopWorking();
    await vm.change(100_000, 5000);
    const worker = startWorkerProcess(fleet, 'backup', {
      STRATA_TEST_KILL_AT: '0',
      STRATA_TEST_KILL_ROOT: fleet.repositoryRoot,
      STRATA_TEST_KILL_LOG: log,
    });
    const end = await fleet.ended(await vm.accept('auto'));
    await worker.stop();
    expect(end.status, end.error_detail ?? worker.output()).to.equal('completed');
    operations = (await readFile(log, 'utf8')).trim().split('\n');
    expect(operations.length).to.be.greaterThan(20);
  });

  it('before any operation leaves a job that another worker finishes, once, and no point is harmed', async function () {
    this.timeout(operations.length * 15_000);
    const first = 1 + (new Date().getDate() % STRIDE);
    for (let at = first; at <= operations.length; at += STRIDE) {
      const where = operations[at - 1] ?? '';
      await vm.change((at * 65536) % (SIZE - 9000), 9000);
      const worker = startWorkerProcess(fleet, 'backup', {
        STRATA_TEST_KILL_AT: String(at),
        STRATA_TEST_KILL_ROOT: fleet.repositoryRoot,
      });
      const id = await vm.accept('auto');
      expect(
        await Promise.race([worker.gone, fleet.ended(id).then(() => 'ended first')]),
        `${where}\n${worker.output()}`,
      ).to.be.oneOf(['SIGKILL', 'ended first']);
      const end = await recover(id);
      await worker.stop();
      expect(end.status, `killed before ${where}: ${end.error_detail}`).to.equal('completed');
    }
  });

  it('leaves everything in order, and a healthy chain of which every point restores as it was', async function () {
    this.timeout(ledger.points.length * 15_000);
    fleet.work();
    const { chainId } = await fleet.suite.ds
      .getRepository(BackupJob)
      .findOneByOrFail({ id: ledger.points[0]?.id ?? '' });
    const { job_id } = await acceptValidation(fleet.accept, { chainId, level: 'quick' });
    ledger.accepted.push(job_id);
    await fleet.ended(job_id);
    const job = await fleet.suite.ds.getRepository(MaintenanceJob).findOneByOrFail({ id: job_id });
    expect(job.result, JSON.stringify(job.result)).to.include({ healthy: true });
    await restoreAll(fleet, ledger);
    const ends = await expectInOrder(fleet, ledger);
    for (const [id, { status }] of ends) expect(status, id).to.equal('completed');
  });
});
