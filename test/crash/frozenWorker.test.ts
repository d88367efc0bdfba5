import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import type { FleetProcess } from '../helpers/fleetProcess.js';
import { expectInOrder } from '../helpers/inOrder/index.js';
import { processProblems } from '../helpers/inOrder/processes.js';
import { keptUntil } from '../helpers/keeping.js';
import { type NbdServer, startNbdkit } from '../helpers/nbdServers.js';
import { restoreAll } from '../helpers/restoreAll.js';
import { timeUntil } from '../helpers/traces.js';
import { createTrackedVm, type Ledger, type Way } from '../helpers/trackedVm.js';
import { startWorkerProcess } from '../helpers/workerProcess.js';
import { namesBelow } from '../helpers/namesBelow.js';

const MIB = 1024 * 1024;
const LEASE_MS = 1_500;
/** How long a worker that has woken up may try what it must not do, in ms. */
const AWAKE_MS = 2_000;
/** Within what time children end, lostLease.test.ts measures; three workers that wake at once on a busy machine take longer. */
const CHILDREN_GONE_MS = 20_000;
/** Moments at which a worker is frozen, in ms after it has begun its job; more of them in the soak run. */
const MOMENTS = (process.env.STRATA_FREEZE_MOMENTS ?? '30,250,700').split(',').map(Number);
const WAYS: Way[] = ['changes', 'full', 'compare'];

describe('Workers that are frozen for three times their lease', () => {
  let fleet: TestFleet;
  const ledger: Ledger = { accepted: [], points: [] };
  const zombies: FleetProcess[] = [];
  const sources: NbdServer[] = [];
  before(async () => {
    fleet = await openFleet({ lease: { leaseMs: LEASE_MS, renewEveryMs: 400 } });
  });
  after(async () => {
    for (const each of [...zombies, ...sources]) await each.stop();
    await fleet.close();
  });

  /** A VM with a full, changes on top of it, and a source that takes its time. */
  const prepare = async (index: number) => {
    const vm = await createTrackedVm(fleet, ledger, {
      name: `frozen${index}`,
      sizeBytes: 4 * MIB,
      pieces: [[0, 2 * MIB]],
    });
    expect((await fleet.ended(await vm.accept('full'))).status).to.equal('completed');
    await vm.change(MIB / 2, MIB);
    const source = await startNbdkit('--filter=delay', 'file', vm.disk, 'rdelay=300ms');
    sources.push(source);
    return { vm, source: { type: 'nbd', uri: source.uri() } as const };
  };
  /** Gives a worker of its own a job, and freezes it in the middle. */
  const freeze = async (index: number, moment: number): Promise<string> => {
    const { vm, source } = await prepare(index);
    await fleet.stopWorking();
    const zombie = startWorkerProcess(fleet, 'backup', { STRATA_BACKUP_CONCURRENCY: '1' });
    zombies.push(zombie);
    await zombie.said('working');
    const id = await vm.accept(WAYS[index % WAYS.length] ?? 'full', { source });
    const held = 'SELECT 1 FROM backup_chains WHERE lease_job_id = ?';
    while ((await fleet.suite.ds.query<unknown[]>(held, [id])).length === 0)
      await fleet.accept.clock.sleep(5);
    await fleet.accept.clock.sleep(moment);
    zombie.child.kill('SIGSTOP');
    return id;
  };
  /** All that a zombie could change: the files, and the rows of chains and jobs. */
  const snapshot = async () => {
    const names = await namesBelow(fleet.repositoryRoot);
    const files = await Promise.all(
      names.sort().map(async (name) => {
        const { ino, size, mtimeMs } = await stat(join(fleet.repositoryRoot, name));
        return { name, ino, size, mtimeMs };
      }),
    );
    const { ds } = fleet.suite;
    const chains = await ds.query('SELECT * FROM backup_chains ORDER BY id');
    return { files, chains, jobs: await ds.query('SELECT * FROM backup_jobs ORDER BY id') };
  };

  it('commit nothing and publish nothing when they wake, and their children end: each job is done once, by another', async function () {
    this.timeout(60_000 + MOMENTS.length * 30_000);
    const ids: string[] = [];
    for (const [index, moment] of MOMENTS.entries()) {
      fleet.work();
      ids.push(await freeze(index, moment));
    }
    await fleet.accept.clock.sleep(LEASE_MS * 3);
    fleet.work(4);
    await keptUntil(fleet, async () => {
      for (const id of ids) {
        const end = await fleet.ended(id, 45_000);
        expect(end.status, end.error_detail ?? '').to.equal('completed');
      }
    });
    await fleet.stopWorking();
    const before = await snapshot();
    for (const zombie of zombies) zombie.child.kill('SIGCONT');
    await fleet.accept.clock.sleep(AWAKE_MS);
    await timeUntil(
      async () => (await processProblems([])).length === 0,
      CHILDREN_GONE_MS,
      async () => `the children have ended: ${(await processProblems([])).join('\n')}`,
    );
    for (const zombie of zombies.splice(0)) await zombie.stop();
    expect(await snapshot()).to.deep.equal(before);
  });

  it('leave everything in order, and points that restore as they were', async function () {
    this.timeout(30_000 + ledger.points.length * 10_000);
    fleet.work();
    await restoreAll(fleet, ledger);
    const ends = await expectInOrder(fleet, ledger);
    for (const [id, { status }] of ends) expect(status, id).to.equal('completed');
  });
});
