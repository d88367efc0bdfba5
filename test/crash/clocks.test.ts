import type { BackupAccepted, BackupCreate } from '../../src/contract/index.js';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupChain, BackupJob } from '../../src/entities/index.js';
import { type ApiAddress, createApiAddress, post, startApiProcess } from '../helpers/apiProcess.js';
import { type Clocks, createClocks, type SetClocks } from '../helpers/clocks.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { type FleetProcess, startFleetProcess } from '../helpers/fleetProcess.js';
import { expectInOrder } from '../helpers/inOrder/index.js';
import { type NbdServer, startNbdkit } from '../helpers/nbdServers.js';
import { createTrackedVm, type Ledger, type TrackedVm } from '../helpers/trackedVm.js';

const HOUR = 3_600;
const DAY = 24 * HOUR;
const LEASE_MS = 2_000;
const SWEEP_MS = 250;
/** A lease, a look of the keeper, an attempt, on a machine that has much else to do. */
const RECOVERED_MS = 30_000;

/** Each is set in the middle of a job, after the one before; the soak run takes every pair. */
const STEPS: Clocks[] =
  process.env.STRATA_CLOCK_STEPS === 'all'
    ? [0, HOUR, 0, -HOUR, DAY, -DAY, 0].flatMap((databaseSeconds) =>
        [0, HOUR, -HOUR, DAY, -DAY].map((hostSeconds) => ({ hostSeconds, databaseSeconds })),
      )
    : [
        { databaseSeconds: HOUR, hostSeconds: 0 },
        { databaseSeconds: -HOUR, hostSeconds: DAY },
        { databaseSeconds: DAY, hostSeconds: -HOUR },
        { databaseSeconds: -DAY, hostSeconds: -DAY },
      ];

describe('Clocks that are set', () => {
  let fleet: TestFleet;
  let clocks: SetClocks;
  let address: ApiAddress;
  let vm: TrackedVm;
  let source: NbdServer;
  /** While there is such a file, the source gives read errors. */
  let broken: string;
  const processes: FleetProcess[] = [];
  let worker: FleetProcess;
  const ledger: Ledger = { accepted: [], points: [] };
  const start = (entry: 'keeper' | 'worker', said: string) => {
    const started = startFleetProcess(fleet, {
      entry,
      args: entry === 'worker' ? ['--queue', 'backup'] : [],
      preload: clocks.process.preload,
      env: { STRATA_SWEEP_MS: String(SWEEP_MS), ...clocks.process.env },
    });
    processes.push(started);
    return started.said(said).then(() => started);
  };
  before(async function () {
    this.timeout(90_000);
    fleet = await openFleet({ lease: { leaseMs: LEASE_MS, renewEveryMs: 400, maxAttempts: 3 } });
    clocks = await createClocks(fleet);
    vm = await createTrackedVm(fleet, ledger, {
      name: 'vm',
      sizeBytes: 4 * 1024 * 1024,
      pieces: [[0, 2_000_000]],
    });
    broken = join(fleet.suite.tempDir, 'broken');
    const faults = ['error=EIO', 'error-rate=100%', `error-file=${broken}`];
    source = await startNbdkit(
      '--filter=error',
      '--filter=delay',
      'file',
      vm.disk,
      'rdelay=700ms',
      ...faults,
    );
    address = await createApiAddress(fleet);
    const api = startApiProcess(fleet, address, clocks.process);
    [, worker] = await Promise.all([start('keeper', 'keeping'), start('worker', 'working')]);
    processes.push(await api);
  });
  after(async function () {
    this.timeout(60_000);
    await Promise.all(processes.map((each) => each.stop()));
    await source.stop();
    await fleet.close();
  });

  const accept = () =>
    vm.accept('auto', {
      source: { type: 'nbd', uri: source.uri() },
      by: async (body: BackupCreate): Promise<BackupAccepted> => {
        const answer = await post(address, 'backups', { body });
        expect(answer.status, JSON.stringify(answer.body)).to.equal(202);
        return answer.body;
      },
    });
  const rowOf = (id: string) => fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
  const fence = async () => (await fleet.suite.ds.getRepository(BackupChain).find())[0]?.fence ?? 0;
  const until = async (id: string, holds: (job: BackupJob) => boolean) => {
    while (!holds(await rowOf(id))) await fleet.accept.clock.sleep(10);
  };
  const expectCompleted = async (id: string, what: string) => {
    const end = await fleet.ended(id, RECOVERED_MS);
    expect(
      end.status,
      `${what}: ${end.error_detail}\n${processes.map((each) => each.output()).join('\n')}`,
    ).to.equal('completed');
  };

  it('take no lease from a worker that lives: its job is done in one attempt', async function () {
    this.timeout(STEPS.length * 20_000);
    for (const step of STEPS) {
      await vm.change(0, 300_000);
      const [before, id] = [await fence(), await accept()];
      await until(id, ({ status }) => status === 'running');
      await clocks.set(step);
      await expectCompleted(id, JSON.stringify(step));
      const { attempts, deaths } = await rowOf(id);
      expect({ attempts, deaths, fence: await fence() }, JSON.stringify(step)).to.deep.equal({
        attempts: 1,
        deaths: 0,
        fence: before + 1,
      });
    }
  });

  it('set back, do not hold the lease of a worker that is dead', async () => {
    await clocks.set({ hostSeconds: 0, databaseSeconds: 0 });
    await vm.change(0, 300_000);
    const id = await accept();
    await until(id, ({ status }) => status === 'running');
    // The keeper has seen the lease at least once.
    await fleet.accept.clock.sleep(SWEEP_MS * 2);
    worker.child.kill('SIGKILL');
    await worker.gone;
    await clocks.set({ hostSeconds: -DAY, databaseSeconds: -DAY });
    worker = await start('worker', 'working');
    await expectCompleted(id, 'dead');
    expect((await rowOf(id)).deaths).to.equal(1);
  });

  it('set back, do not hold the lead of a keeper that is dead', async () => {
    await clocks.set({ hostSeconds: 0, databaseSeconds: 0 });
    const [keeper] = processes;
    keeper?.child.kill('SIGKILL');
    await keeper?.gone;
    await clocks.set({ hostSeconds: -DAY, databaseSeconds: -DAY });
    await start('keeper', 'keeping');
    const id = await accept();
    const [queue] = fleet.queue.queues(['default']);
    await until(id, ({ status }) => status === 'running');
    worker.child.kill('SIGKILL');
    await worker.gone;
    await queue?.obliterate({ force: true });
    worker = await start('worker', 'working');
    await expectCompleted(id, 'nobody leads');
  });

  it('set back, do not let a job wait that is to be tried again in two seconds', async () => {
    await clocks.set({ hostSeconds: DAY, databaseSeconds: DAY });
    await vm.change(0, 300_000);
    await writeFile(broken, '');
    const id = await accept();
    await until(id, (job) => job.errorCode !== null);
    await rm(broken);
    await clocks.set({ hostSeconds: 0, databaseSeconds: 0 });
    await expectCompleted(id, 'waits');
    expect((await rowOf(id)).attempts).to.be.within(2, 3);
  });

  it('leave everything in order', async () => {
    await expectInOrder(fleet, ledger);
  });
});
