import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise';
import { asAdministrator } from '../../src/main/embedded/mariadb.js';
import { prepareEmbeddedPaths } from '../../src/main/embedded/paths.js';
import { waitUntilGone } from '../../src/main/embedded/processes.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { type FleetProcess, startFleetProcess } from '../helpers/fleetProcess.js';
import { expectInOrder } from '../helpers/inOrder/index.js';
import { type NbdServer, startNbdkit } from '../helpers/nbdServers.js';
import { startServers, stopServers, type TestServers } from '../helpers/servers.js';
import { timeUntil } from '../helpers/traces.js';
import { createTrackedVm, type Ledger, type TrackedVm } from '../helpers/trackedVm.js';
import { startWorkerProcess } from '../helpers/workerProcess.js';

const SIZE = 4 * 1024 * 1024;
const LEASE_MS = 2_000;
/** How long a server is in trouble: longer than the leases. */
const TROUBLE_MS = Number(process.env.STRATA_TROUBLE_MS ?? 3_000);
const REDIS_FROZEN_MS = Math.max(TROUBLE_MS, 10_000);
const RECOVERED_MS = 45_000;

describe('A worker and a keeper', () => {
  let fleet: TestFleet;
  let servers: TestServers;
  let dataDir: string;
  let worker: FleetProcess;
  let keeper: FleetProcess;
  const vms: { vm: TrackedVm; source: NbdServer }[] = [];
  const ledger: Ledger = { accepted: [], points: [] };
  before(async function () {
    this.timeout(90_000);
    dataDir = await mkdtemp(join(tmpdir(), 'trouble-'));
    servers = await startServers(dataDir);
    fleet = await openFleet({ servers, lease: { leaseMs: LEASE_MS, renewEveryMs: 500, maxAttempts: 3 } });
    for (const name of ['a', 'b']) {
      const vm = await createTrackedVm(fleet, ledger, { name, sizeBytes: SIZE, pieces: [[0, 2_000_000]] });
      // Slow, so that the trouble falls into the middle of the work.
      vms.push({ vm, source: await startNbdkit('--filter=delay', 'file', vm.disk, 'rdelay=15ms') });
    }
    keeper = startFleetProcess(fleet, { entry: 'keeper', env: { STRATA_SWEEP_MS: '250' } });
    worker = startWorkerProcess(fleet, 'backup', { STRATA_BACKUP_CONCURRENCY: '4' });
    await Promise.all([keeper.said('keeping'), worker.said('working')]);
  });
  after(async function () {
    this.timeout(90_000);
    await Promise.all([worker.stop(), keeper.stop()]);
    for (const { source } of vms) await source.stop();
    await fleet.close();
    await stopServers(dataDir);
    await rm(dataDir, { recursive: true, force: true });
  });

  const pause = (ms: number) => fleet.accept.clock.sleep(ms);
  const acceptAll = async (changed?: number) => {
    const ids: string[] = [];
    for (const { vm, source } of vms) {
      if (changed !== undefined) await vm.change(changed, 300_000);
      ids.push(await vm.accept('auto', { source: { type: 'nbd', uri: source.uri() } }));
    }
    return ids;
  };
  /** Until all run, or have run: one may end before the other begins. */
  const begun = async (ids: readonly string[]) => {
    const marks = ids.map(() => '?').join();
    const sql = `SELECT 1 FROM backup_jobs WHERE id IN (${marks}) AND status NOT IN ('queued', 'released')`;
    const all = async () => (await fleet.suite.ds.query<unknown[]>(sql, [...ids])).length === ids.length;
    await timeUntil(all, RECOVERED_MS, () => `all of ${ids.join()} run\n${worker.output()}`);
  };
  const bothLive = () => {
    for (const { child, output } of [worker, keeper]) expect(child.exitCode, output()).to.equal(null);
  };
  const allCompleted = async (ids: readonly string[]) => {
    for (const id of ids) {
      // A process that has died explains a job that does not go on better than the job does.
      const { status, error_detail } = await fleet.ended(id, RECOVERED_MS).catch((error: Error) => {
        bothLive();
        throw error;
      });
      expect(status, `${error_detail}\n${worker.output()}`).to.equal('completed');
    }
    bothLive();
  };
  const administer = (work: (connection: Connection) => Promise<unknown>) =>
    asAdministrator(servers.database.socketPath, work);
  /** Ends every connection of the fleet, or only what runs on it. */
  const killAll = async (connection: Connection, what: 'CONNECTION' | 'QUERY') => {
    const [rows] = await connection.query<(RowDataPacket & { id: number })[]>(
      `SELECT id FROM information_schema.processlist WHERE user = '${fleet.suite.databaseUser}'`,
    );
    // One may have ended by itself meanwhile.
    for (const { id } of rows) await connection.query(`KILL ${what} ${id}`).catch(() => undefined);
  };

  it('go on while Redis is frozen, and with it when it thaws', async () => {
    const ids = await acceptAll(0);
    await begun(ids);
    process.kill(servers.redis.pid, 'SIGSTOP');
    // Their work needs no Redis: the lease is in the database.
    await Promise.all([allCompleted(ids), pause(REDIS_FROZEN_MS)]);
    process.kill(servers.redis.pid, 'SIGCONT');
    await allCompleted(await acceptAll(100_000));
  });

  it('are not misled by a Redis that comes back with what it held long ago', async function () {
    this.timeout(120_000);
    const { redisDir } = await prepareEmbeddedPaths(dataDir);
    const copy = join(fleet.suite.tempDir, 'redis');
    worker.child.kill('SIGSTOP');
    const before = await acceptAll(200_000);
    await cp(redisDir, copy, { recursive: true });
    worker.child.kill('SIGCONT');
    await allCompleted(before);
    const after = await acceptAll(300_000);
    await begun(after);
    const next = await acceptAll();
    process.kill(servers.redis.pid, 'SIGKILL');
    await waitUntilGone([servers.redis.pid], 10_000);
    await rm(redisDir, { recursive: true });
    await cp(copy, redisDir, { recursive: true });
    servers = await startServers(dataDir);
    await allCompleted([...after, ...next]);
  });

  it('go on when the database ends all connections, or what runs on them, again and again', async () => {
    const ids = await acceptAll(500_000);
    await administer(async (connection) => {
      for (let round = 0; round < 20; round++) {
        await killAll(connection, round % 2 === 0 ? 'CONNECTION' : 'QUERY');
        await pause(100);
      }
    });
    await allCompleted(ids);
  });

  it('wait while the database takes no more connections', async () => {
    const ids = await acceptAll(600_000);
    await begun(ids);
    const hogs: Connection[] = [];
    const [most] = await fleet.suite.ds.query<{ n: number }[]>('SELECT @@max_connections AS n');
    await administer(async (connection) => {
      await connection.query('SET GLOBAL max_connections = 10');
      try {
        await killAll(connection, 'CONNECTION');
        const { socketPath, user } = servers.database;
        while (hogs.length < 10) {
          const hog = await createConnection({ socketPath, user }).catch(() => undefined);
          if (!hog) break;
          hogs.push(hog);
        }
        await pause(TROUBLE_MS);
      } finally {
        for (const hog of hogs) hog.destroy();
        // On the connection that is there: a new one could be one too many.
        await connection.query(`SET GLOBAL max_connections = ${most?.n}`);
      }
    });
    await allCompleted(ids);
  });

  it('wait while the database is read-only', async () => {
    const ids = await acceptAll(700_000);
    await begun(ids);
    await administer(async (connection) => {
      await connection.query('SET GLOBAL read_only = 1');
      try {
        await pause(TROUBLE_MS);
      } finally {
        await connection.query('SET GLOBAL read_only = 0');
      }
    });
    await allCompleted(ids);
  });

  it('leave everything in order', async () => {
    await expectInOrder(fleet, ledger);
  });
});
