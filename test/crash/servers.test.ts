import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { expectInOrder } from '../helpers/inOrder/index.js';
import { keptUntil } from '../helpers/keeping.js';
import { type NbdServer, startNbdkit } from '../helpers/nbdServers.js';
import { restoreAll } from '../helpers/restoreAll.js';
import { startServers, stopServers, type TestServers } from '../helpers/servers.js';
import { createTrackedVm, type Ledger, type TrackedVm } from '../helpers/trackedVm.js';

const SIZE = 4 * 1024 * 1024;
const LEASE_MS = 2_000;
const VMS = ['a', 'b', 'c'];

describe('Redis and MariaDB', () => {
  let fleet: TestFleet;
  let servers: TestServers;
  let dataDir: string;
  const vms: { vm: TrackedVm; source: NbdServer }[] = [];
  const ledger: Ledger = { accepted: [], points: [] };
  before(async function () {
    this.timeout(60_000);
    dataDir = await mkdtemp(join(tmpdir(), 'servers-'));
    servers = await startServers(dataDir);
    fleet = await openFleet({ servers, lease: { leaseMs: LEASE_MS, renewEveryMs: 500, maxAttempts: 3 } });
    for (const name of VMS) {
      const vm = await createTrackedVm(fleet, ledger, { name, sizeBytes: SIZE, pieces: [[0, 2_000_000]] });
      // Slow, so that there is a middle in which to kill.
      vms.push({ vm, source: await startNbdkit('--filter=delay', 'file', vm.disk, 'rdelay=15ms') });
    }
    fleet.work(4);
  });
  after(async function () {
    this.timeout(60_000);
    for (const { source } of vms) await source.stop();
    await fleet.close();
    await stopServers(dataDir);
    await rm(dataDir, { recursive: true, force: true });
  });

  const acceptAll = async (changed?: number) => {
    const ids: string[] = [];
    for (const { vm, source } of vms) {
      if (changed !== undefined) await vm.change(changed, 500_000);
      ids.push(await vm.accept('auto', { source: { type: 'nbd', uri: source.uri() } }));
    }
    return ids;
  };
  const expectDone = async (ids: readonly string[], what: string) => {
    const ends = await keptUntil(fleet, () => Promise.all(ids.map((id) => fleet.ended(id, 90_000))));
    for (const end of ends) expect(end.status, `${what}: ${end.error_detail}`).to.equal('completed');
  };
  const pidOf = (server: 'redis' | 'database') => servers[server].pid;

  it('may lose all that Redis holds: what was accepted is queued again and done once', async function () {
    this.timeout(120_000);
    await fleet.stopWorking();
    const ids = await acceptAll();
    await fleet.worker.redis.flushall();
    fleet.work(4);
    await expectDone(ids, 'flushed');
  });

  it('may lose Redis in the middle of the work: running jobs go on and commit', async function () {
    this.timeout(120_000);
    const ids = await acceptAll(0);
    await fleet.accept.clock.sleep(300);
    process.kill(pidOf('redis'), 'SIGKILL');
    await fleet.accept.clock.sleep(3_000);
    servers = await startServers(dataDir);
    await expectDone(ids, 'Redis killed');
  });

  it('may lose MariaDB in the middle of the work: every job is done once when it is back', async function () {
    this.timeout(120_000);
    const ids = await acceptAll(600_000);
    await fleet.accept.clock.sleep(300);
    process.kill(pidOf('database'), 'SIGKILL');
    await fleet.accept.clock.sleep(1_000);
    servers = await startServers(dataDir);
    await expectDone(ids, 'MariaDB killed');
  });

  it('may freeze MariaDB for longer than the leases: the work stops, and is done when it thaws', async function () {
    this.timeout(120_000);
    const ids = await acceptAll(1_200_000);
    await fleet.accept.clock.sleep(300);
    process.kill(pidOf('database'), 'SIGSTOP');
    await fleet.accept.clock.sleep(LEASE_MS * 3);
    process.kill(pidOf('database'), 'SIGCONT');
    await expectDone(ids, 'MariaDB frozen');
  });

  it('leave everything in order, and points that restore as they were', async function () {
    this.timeout(120_000);
    await restoreAll(fleet, ledger);
    const ends = await expectInOrder(fleet, ledger);
    for (const [id, { status }] of ends) expect(status, id).to.equal('completed');
    expect(ledger.points).to.have.length(VMS.length * 4);
  });
});
