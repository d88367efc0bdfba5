import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupChain, BackupJob } from '../../src/entities/index.js';
import { isRunning } from '../../src/main/embedded/processes.js';
import { startFleet, stopFleet } from '../../src/main/pm2/fleet.js';
import { type ApiAddress, createApiAddress, post } from '../helpers/apiProcess.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { environmentOf } from '../helpers/fleetProcess.js';
import { expectInOrder } from '../helpers/inOrder/index.js';
import { type NbdServer, startNbdkit } from '../helpers/nbdServers.js';
import { findRunProcesses } from '../helpers/runProcesses.js';
import { testRun } from '../helpers/testRun.js';
import { createTrackedVm, type Ledger, type TrackedVm } from '../helpers/trackedVm.js';

const VMS = ['a', 'b', 'c'];
const SIZE = 4 * 1024 * 1024;
/** Jobs whose source is paused outlast the one, and end within the other. */
const SHORT_GRACE_MS = 200;
const LONG_GRACE_MS = 30_000;
/** One API process in fork mode ends before the next begins: a start's time, on a machine that has much else to do. */
const SILENT_MS = 20_000;

describe('pm2 reload of the whole fleet while jobs run', () => {
  let fleet: TestFleet;
  let address: ApiAddress;
  let dataDir: string;
  const vms: { vm: TrackedVm; source: NbdServer; control: string }[] = [];
  const ledger: Ledger = { accepted: [], points: [] };
  const envWith = (graceMs: number): NodeJS.ProcessEnv => ({
    ...environmentOf(fleet),
    STRATA_DATA_DIR: dataDir,
    STRATA_LISTEN: `127.0.0.1:${address.port}`,
    STRATA_GRACE_MS: String(graceMs),
    STRATA_SWEEP_MS: '500',
  });
  const reload = (graceMs: number) =>
    startFleet({ dataDir, env: envWith(graceMs), readyUrl: `${address.url}/readyz` });
  before(async function () {
    this.timeout(180_000);
    fleet = await openFleet();
    dataDir = join(fleet.suite.tempDir, 'data');
    address = await createApiAddress(fleet);
    for (const name of VMS) {
      const vm = await createTrackedVm(fleet, ledger, { name, sizeBytes: SIZE, pieces: [[0, 2_000_000]] });
      const control = join(tmpdir(), `pause-${name}`);
      const source = await startNbdkit('--filter=pause', 'file', vm.disk, `pause-control=${control}`);
      vms.push({ vm, source, control });
    }
    await reload(SHORT_GRACE_MS);
  });
  after(async function () {
    this.timeout(120_000);
    await stopFleet({ dataDir, env: envWith(SHORT_GRACE_MS) });
    for (const { source, control } of vms) {
      await source.stop();
      await rm(control, { force: true });
    }
    await fleet.close();
  });

  /** Asks the API every 50 ms until it is told to stop: what it answered, and the longest time in which it did not. */
  const watchApi = () => {
    const watching = new AbortController();
    const watched = (async () => {
      const statuses = new Set<number>();
      let silentMs = 0;
      for (let answeredAt = performance.now(); !watching.signal.aborted; await fleet.accept.clock.sleep(50)) {
        try {
          const { status } = await fetch(`${address.url}/healthz`, { signal: AbortSignal.timeout(5_000) });
          statuses.add(status);
          answeredAt = performance.now();
        } catch {
          silentMs = Math.max(silentMs, performance.now() - answeredAt);
        }
      }
      return { statuses: [...statuses], silentMs };
    })();
    return () => {
      watching.abort();
      return watched;
    };
  };
  const acceptAll = async () => {
    const ids: string[] = [];
    for (const { vm, source } of vms)
      ids.push(
        await vm.accept('auto', {
          source: { type: 'nbd', uri: source.uri() },
          by: async (body) => (await post(address, 'backups', { body })).body,
        }),
      );
    return ids;
  };
  const running = async (ids: readonly string[], least: number) => {
    const rows = await fleet.suite.ds.getRepository(BackupJob).findBy({ status: 'running' });
    if (rows.filter(({ id }) => ids.includes(id)).length >= least) return;
    await fleet.accept.clock.sleep(20);
    await running(ids, least);
  };
  /** The QEMU tools of all processes: those of the sources are nbdkit. */
  const qemuTools = async () => {
    const found = await findRunProcesses(testRun.id, [], process.pid);
    return found
      .filter(({ argv }) => argv.some((word) => /(^|\/)qemu-(nbd|img)$/.test(word)))
      .map(({ pid }) => pid);
  };
  /** Those that wait for the paused sources, and not those that look at an image and end. */
  const lastingTools = async (): Promise<number[]> => {
    const before = await qemuTools();
    await fleet.accept.clock.sleep(1_000);
    const lasting = (await qemuTools()).filter((pid) => before.includes(pid));
    return lasting.length >= VMS.length ? lasting : lastingTools();
  };
  const fences = async () => {
    const chains = await fleet.suite.ds.getRepository(BackupChain).find();
    return chains.reduce((sum, { fence }) => sum + fence, 0);
  };
  const expectOnce = async (ids: readonly string[]) => {
    for (const id of ids) {
      const end = await fleet.ended(id, 60_000);
      expect(end.status, end.error_detail ?? '').to.equal('completed');
      const { attempts, deaths } = await fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
      expect({ attempts, deaths }, id).to.deep.equal({ attempts: 1, deaths: 0 });
    }
  };
  const logOf = (name: string) => readFile(join(dataDir, 'logs', `strata-${name}.log`), 'utf8');

  /** nbdkit-pause-filter(1): requests that come after `p` wait until `r`. */
  const tellSources = async (what: 'p' | 'r') => {
    for (const { control } of vms) {
      await once(connect(control).end(what).resume(), 'close');
    }
  };

  it('hands jobs back that take longer than the grace time, and they cost no attempt', async function () {
    this.timeout(180_000);
    await tellSources('p');
    const ids = await acceptAll();
    await running(ids, VMS.length);
    const stop = watchApi();
    await reload(LONG_GRACE_MS);
    const { statuses, silentMs } = await stop();
    await tellSources('r');
    expect(statuses).to.deep.equal([200]);
    expect(silentMs, 'ms without an answer').to.be.within(1, SILENT_MS);
    await expectOnce(ids);
    expect(await logOf('backup')).to.include('shutting_down');
  });

  it('lets jobs go on within the grace time, and their QEMU tools with them', async function () {
    this.timeout(180_000);
    const before = await fences();
    await tellSources('p');
    for (const { vm } of vms) await vm.change(0, 100_000);
    const ids = await acceptAll();
    await running(ids, VMS.length);
    const stopped = (await logOf('backup')).split('"stopping"').length;
    const tools = await lastingTools();
    const reloading = reload(LONG_GRACE_MS);
    try {
      // PM2 stops one of them after the other has ended.
      while ((await logOf('backup')).split('"stopping"').length === stopped)
        await fleet.accept.clock.sleep(50);
      await fleet.accept.clock.sleep(500);
      expect(await Promise.all(tools.map(isRunning)), 'somebody has ended the tools').to.not.include(false);
    } finally {
      await tellSources('r');
      await reloading;
    }
    await expectOnce(ids);
    expect(await fences(), 'each by the worker that had begun it').to.equal(before + VMS.length);
  });

  it('ends every process in good order', async () => {
    for (const name of ['api', 'backup', 'maintenance', 'restore', 'keeper']) {
      const log = await logOf(name);
      expect(log, name).to.include('"stopped"').and.not.include('could not stop in time');
      expect(log.match(/"stopping"/g)?.length, name).to.equal(log.match(/"stopped"/g)?.length);
    }
  });

  it('leaves everything in order', async () => {
    await expectInOrder(fleet, ledger);
  });
});
