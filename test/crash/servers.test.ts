import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob } from '../../src/entities/index.js';
import { type EmbeddedServices, startEmbedded, stopEmbedded } from '../../src/main/embedded/index.js';
import { acceptBackup, acceptRestore } from '../../src/producers/accept/index.js';
import { compareImages } from '../../src/qcow2/index.js';
import { makeDisk, writeAt } from '../helpers/disks.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { type NbdServer, startNbdkit } from '../helpers/nbdServers.js';
import { grantSuites } from '../helpers/services.js';

const SIZE = 4 * 1024 * 1024;
const LEASE_MS = 2_000;
const VMS = ['a', 'b', 'c'];

describe('Redis and MariaDB', () => {
  let fleet: TestFleet;
  let servers: EmbeddedServices;
  let dataDir: string;
  let source: NbdServer;
  const disk = () => join(fleet.sources, 'disk.raw');
  before(async function () {
    this.timeout(60_000);
    dataDir = await mkdtemp(join(tmpdir(), 'servers-'));
    servers = await startEmbedded({ dataDir });
    await grantSuites(servers);
    fleet = await openFleet({ servers, lease: { leaseMs: LEASE_MS, renewEveryMs: 500, maxAttempts: 3 } });
    await makeDisk(disk(), SIZE, [[0, 2_000_000]]);
    // Slow, so that there is a middle in which to kill.
    source = await startNbdkit('--filter=delay', 'file', disk(), 'rdelay=15ms');
    fleet.work(4);
  });
  after(async function () {
    this.timeout(60_000);
    await source.stop();
    await fleet.close();
    await stopEmbedded({ dataDir });
    await rm(dataDir, { recursive: true, force: true });
  });

  const acceptAll = async () => {
    const ids: string[] = [];
    for (const vm_name of VMS) {
      const answer = await acceptBackup(fleet.accept, {
        vm_name,
        repository_id: 'main',
        backup_type: 'auto',
        disks: [{ disk_id: 0, source: { type: 'nbd', uri: source.uri() } }],
      });
      ids.push(answer.disk_results[0]?.backup_id ?? '');
    }
    return ids;
  };
  /** What the keeper does meanwhile; it says when it cannot, and goes on. */
  const sweepUntil = async (done: Promise<unknown>) => {
    const over = done.then(
      () => true,
      () => true,
    );
    while (!(await Promise.race([over, fleet.accept.clock.sleep(500).then(() => false)]))) {
      await fleet.sweep().catch((error: Error) => expect(error.message).to.match(/answer|closed|connect/i));
    }
  };
  const expectDone = async (ids: readonly string[], what: string) => {
    const ends = Promise.all(ids.map((id) => fleet.ended(id, 90_000)));
    await sweepUntil(ends);
    for (const end of await ends) expect(end.status, `${what}: ${end.error_detail}`).to.equal('completed');
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
    await writeAt(disk(), 0, 500_000);
    const ids = await acceptAll();
    await fleet.accept.clock.sleep(300);
    process.kill(pidOf('redis'), 'SIGKILL');
    await fleet.accept.clock.sleep(3_000);
    servers = await startEmbedded({ dataDir });
    await expectDone(ids, 'Redis killed');
  });

  it('may lose MariaDB in the middle of the work: every job is done once when it is back', async function () {
    this.timeout(120_000);
    await writeAt(disk(), 600_000, 500_000);
    const ids = await acceptAll();
    await fleet.accept.clock.sleep(300);
    process.kill(pidOf('database'), 'SIGKILL');
    await fleet.accept.clock.sleep(1_000);
    servers = await startEmbedded({ dataDir });
    await expectDone(ids, 'MariaDB killed');
  });

  it('may freeze MariaDB for longer than the leases: the work stops, and is done when it thaws', async function () {
    this.timeout(120_000);
    await writeAt(disk(), 1_200_000, 500_000);
    const ids = await acceptAll();
    await fleet.accept.clock.sleep(300);
    process.kill(pidOf('database'), 'SIGSTOP');
    await fleet.accept.clock.sleep(LEASE_MS * 3);
    process.kill(pidOf('database'), 'SIGCONT');
    await expectDone(ids, 'MariaDB frozen');
  });

  it('leave behind linear chains, one file per backup, and points that are right', async function () {
    this.timeout(120_000);
    for (const vm of VMS) {
      const rows = await fleet.suite.ds.query<
        { id: string; repository_path: string; parent_backup_id: string | null }[]
      >(
        `SELECT b.id, b.repository_path, b.parent_backup_id FROM backup_jobs b
         JOIN vm_contexts v ON v.vm_context_id = b.vm_context_id WHERE v.vm_name = ? ORDER BY b.seq`,
        [vm],
      );
      rows.forEach((row, index) => expect(row.parent_backup_id).to.equal(rows[index - 1]?.id ?? null));
      const names = await readdir(join(fleet.repositoryRoot, rows[0]?.repository_path ?? '', '..'));
      expect(names, vm).to.have.length(rows.length * 3);
      const path = join(fleet.restores, `${vm}.raw`);
      const backup_id = rows.at(-1)?.id ?? '';
      const { restore_id } = await acceptRestore(fleet.accept, {
        backup_id,
        target: { type: 'file', path },
        format: 'raw',
      });
      expect((await fleet.ended(restore_id)).status).to.equal('completed');
      const same = await compareImages(
        { type: 'file', path, format: 'raw' },
        { type: 'file', path: disk(), format: 'raw' },
      );
      expect(same.identical, vm).to.equal(true);
    }
    expect(await fleet.suite.ds.getRepository(BackupJob).countBy({ status: 'completed' })).to.equal(
      VMS.length * 4,
    );
  });
});
