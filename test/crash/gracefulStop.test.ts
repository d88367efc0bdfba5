import { type JobKind } from '../../src/shared/jobs.js';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { JOB_TABLES } from '../../src/db/job/kinds.js';
import { changeRepository } from '../../src/db/repository/repositories.js';
import { acceptRestore } from '../../src/producers/accept/index.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import type { FleetProcess } from '../helpers/fleetProcess.js';
import { expectInOrder } from '../helpers/inOrder/index.js';
import { timeUntil, toolsOf } from '../helpers/traces.js';
import { createTrackedVm, type Ledger, type TrackedVm } from '../helpers/trackedVm.js';
import { startWorkerProcess } from '../helpers/workerProcess.js';
import { namesBelow } from '../helpers/namesBelow.js';

const MIB = 1024 * 1024;
/** Longer than any of the tests: a lease that was not given up would be seen. */
const LEASE_MS = 60_000;
/** A process needs this to close its connections, on a busy machine. */
const CLOSE_MS = 6_000;
/** So slow that nothing ends by itself. */
const CRAWL = 64 * 1024;

describe('A worker that is told to stop', function () {
  this.timeout(60_000);
  let fleet: TestFleet;
  let vm: TrackedVm;
  let other: TrackedVm;
  const ledger: Ledger = { accepted: [], points: [] };
  const workers: FleetProcess[] = [];

  before(async () => {
    fleet = await openFleet({ lease: { leaseMs: LEASE_MS, renewEveryMs: 500 } });
    const disk = { sizeBytes: 8 * MIB, pieces: [[0, 4 * MIB]] } as const;
    vm = await createTrackedVm(fleet, ledger, { name: 'vm', ...disk });
    other = await createTrackedVm(fleet, ledger, { name: 'other', ...disk });
  });
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.stop()));
  });
  after(() => fleet.close());

  const limit = (maxBytesPerSecond: number | null) =>
    changeRepository(fleet.suite.ds, fleet.repositoryId, { maxBytesPerSecond });
  /** Starts a worker and waits until a tool of its job is at work. */
  const workOn = async (kind: JobKind, graceMs: number): Promise<FleetProcess> => {
    const worker = startWorkerProcess(fleet, kind, { STRATA_GRACE_MS: String(graceMs) });
    workers.push(worker);
    const busy = async () =>
      (await toolsOf(worker.child.pid ?? 0)).some(({ argv }) => argv.join(' ').includes('qemu-nbd'));
    await timeUntil(busy, 20_000, () => `the worker is busy: ${worker.output()}`);
    return worker;
  };
  const rowOf = async (kind: JobKind, id: string) => {
    const [row] = await fleet.suite.ds.query<Record<string, unknown>[]>(
      `SELECT j.status, j.attempts, j.deaths, j.error_code, c.lease_owner
       FROM ${JOB_TABLES[kind]} j JOIN backup_chains c ON c.id = j.chain_id WHERE j.id = ?`,
      [id],
    );
    return row;
  };
  const expectTidy = async () => {
    const names = await Promise.all([fleet.repositoryRoot, fleet.restores].map((root) => namesBelow(root)));
    expect(names.flat().filter((name) => name.includes('.partial'))).to.deep.equal([]);
    const scratch = await readdir(join(fleet.suite.tempDir, 'run', 'scratch')).catch(() => []);
    expect(scratch, 'directories for sockets').to.deep.equal([]);
  };
  /** Handed back, at no cost; and then done by the next worker. */
  const expectHandedBack = async (kind: JobKind, id: string, worker: FleetProcess) => {
    expect(worker.child.exitCode, worker.output()).to.equal(0);
    expect(await rowOf(kind, id)).to.deep.equal({
      status: 'released',
      attempts: 0,
      deaths: 0,
      error_code: 'shutting_down',
      lease_owner: null,
    });
    await expectTidy();
    await limit(null);
    fleet.work();
    expect((await fleet.ended(id)).status).to.equal('completed');
    expect(await rowOf(kind, id)).to.include({ attempts: 1, deaths: 0, error_code: null });
    await fleet.stopWorking();
  };
  const gone = (worker: FleetProcess, withinMs: number) =>
    timeUntil(
      () => Promise.resolve(worker.child.exitCode !== null),
      withinMs,
      () => `the worker is gone: ${worker.output()}`,
    );

  it('takes no more jobs, and lets one end that ends in the grace time', async () => {
    await limit(2 * MIB);
    const id = await vm.accept('full');
    const worker = await workOn('backup', 30_000);
    worker.child.kill('SIGTERM');
    await worker.said('stopping');
    const later = await other.accept('full');
    expect((await fleet.ended(id)).status).to.equal('completed');
    await gone(worker, CLOSE_MS);
    expect(worker.child.exitCode).to.equal(0);
    expect(await rowOf('backup', id)).to.include({ attempts: 1, deaths: 0, lease_owner: null });
    expect(await rowOf('backup', later)).to.include({ status: 'released', attempts: 0 });
    await expectTidy();
    fleet.work();
    expect((await fleet.ended(later)).status).to.equal('completed');
    await fleet.stopWorking();
  });

  it('hands a backup back that does not end in it, without costing an attempt, and the next worker does it', async () => {
    await limit(CRAWL);
    await vm.change(0, 2 * MIB);
    const id = await vm.accept('changes');
    const worker = await workOn('backup', 500);
    worker.child.kill('SIGTERM');
    await gone(worker, 500 + CLOSE_MS);
    await expectHandedBack('backup', id, worker);
  });

  it('hands a restore back in the same way', async () => {
    await limit(CRAWL);
    const path = join(fleet.restores, 'restored.raw');
    const { restore_id: id } = await acceptRestore(fleet.accept, {
      backup_id: ledger.points.at(-1)?.id ?? '',
      target: { type: 'file', path },
      format: 'raw',
    });
    ledger.accepted.push(id);
    const worker = await workOn('restore', 500);
    worker.child.kill('SIGTERM');
    await gone(worker, 500 + CLOSE_MS);
    await expectHandedBack('restore', id, worker);
  });

  it('stops at once when it is told a second time, as cleanly', async () => {
    await limit(CRAWL);
    await vm.change(MIB, 2 * MIB);
    const id = await vm.accept('compare');
    const worker = await workOn('backup', 600_000);
    worker.child.kill('SIGTERM');
    await worker.said('stopping');
    await fleet.accept.clock.sleep(500);
    expect(worker.child.exitCode, 'it lets the job go on').to.equal(null);
    worker.child.kill('SIGTERM');
    await gone(worker, CLOSE_MS);
    await expectHandedBack('backup', id, worker);
  });

  it('leaves everything in order', async () => {
    fleet.work();
    await expectInOrder(fleet, ledger);
  });
});
