import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob, RestoreJob } from '../../../../../src/entities/index.js';
import type { DiskSource } from '../../../../../src/shared/sources.js';
import { changeRepository } from '../../../../../src/db/repository/repositories.js';
import { acceptBackup, acceptRestore, cancel } from '../../../../../src/producers/accept/index.js';
import { compareImages, type ImageRef } from '../../../../../src/qcow2/index.js';
import { makeDisk, writeAt } from '../../../../helpers/disks.js';
import { openFleet, type TestFleet } from '../../../../helpers/fleet.js';
import { startSlowDisk } from '../../../../helpers/slowDisk.js';
import { timeUntil, toolsOf } from '../../../../helpers/traces.js';

const MIB = 1024 * 1024;
const SIZE = 8 * MIB;
/** A new limit is seen with the next renewal. The lease itself is long: here is no keeper that would settle a lost one. */
const LEASE_MS = 20_000;
const RENEW_MS = 200;
/** What a job takes besides moving bytes, on a busy machine. */
const OVERHEAD_MS = 6_000;

describe('The bandwidth', () => {
  let fleet: TestFleet;
  let disk: string;
  let names = 0;
  before(async () => {
    fleet = await openFleet({ lease: { leaseMs: LEASE_MS, renewEveryMs: RENEW_MS } });
    disk = join(fleet.sources, 'disk.raw');
    await makeDisk(disk, SIZE, [[MIB, 3 * MIB]]);
    fleet.work(4);
  });
  after(() => fleet.close());
  afterEach(() => limit(null));

  const limit = (maxBytesPerSecond: number | null) =>
    changeRepository(fleet.suite.ds, fleet.repositoryId, { maxBytesPerSecond });
  const accept = async (
    vm: string,
    type: 'full' | 'incremental',
    own?: number,
    extra: {
      change_id?: string;
      since_change_id?: string;
      changed_extents?: { offset: number; length: number }[];
    } = {},
    source: DiskSource = {
      type: 'file',
      path: disk,
      format: 'raw',
    },
  ) => {
    const answer = await acceptBackup(fleet.accept, {
      vm_name: vm,
      repository_id: 'main',
      backup_type: type,
      ...(own === undefined ? {} : { max_bytes_per_second: own }),
      disks: [{ disk_id: 0, source, ...extra }],
    });
    return answer.disk_results[0]?.backup_id ?? '';
  };
  const restore = async (id: string, own?: number) => {
    const path = join(fleet.restores, `${id}-${++names}.raw`);
    const { restore_id } = await acceptRestore(fleet.accept, {
      backup_id: id,
      target: { type: 'file', path },
      format: 'raw',
      verify: own === undefined,
      ...(own === undefined ? {} : { max_bytes_per_second: own }),
    });
    return { id: restore_id, path };
  };
  /** Waits for the end, and says how long the job took and how often it was begun. */
  const ended = async (id: string) => {
    const end = await fleet.ended(id);
    expect(end.status, `${id}: ${end.error_code} ${end.error_detail}`).to.equal('completed');
    const row = await fleet.suite.ds
      .getRepository<BackupJob | RestoreJob>(id.startsWith('rst') ? RestoreJob : BackupJob)
      .findOneByOrFail({ id });
    expect(row, 'one attempt under one lease').to.include({ attempts: 1, deaths: 0 });
    return Number(row.completedAt) - Number(row.startedAt);
  };
  const expectEqual = async (path: string, original = disk) => {
    const raw = (at: string): ImageRef => ({ type: 'file', path: at, format: 'raw' });
    expect(await compareImages(raw(path), raw(original))).to.include({ identical: true });
  };
  const running = async (id: string) => {
    while ((await fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id })).status !== 'running')
      await fleet.accept.clock.sleep(10);
  };

  it('of a full, an increment by change list, one by comparison, and a restore is what the request says', async function () {
    this.timeout(40_000);
    const rate = 3 * MIB;
    const times: Record<string, number> = {};
    const full = await accept('own', 'full', rate, { change_id: 'a' });
    times['full, 3 MiB'] = await ended(full);
    await writeAt(disk, 5 * MIB, 2 * MIB);
    const changes = {
      change_id: 'b',
      since_change_id: 'a',
      changed_extents: [{ offset: 5 * MIB, length: 2 * MIB }],
    };
    times['change list, 2 MiB'] = await ended(await accept('own', 'incremental', rate, changes));
    await writeAt(disk, 0, 1 * MIB);
    // Six MiB are read and compared, the one that differs is read once more.
    const compared = await accept('own', 'incremental', rate);
    times['compare, 7 MiB'] = await ended(compared);
    const copied = await restore(compared, rate);
    times['restore, 6 MiB'] = await ended(copied.id);
    await expectEqual(copied.path);
    for (const [what, ms] of Object.entries(times)) {
      const least = (Number(/(\d) MiB/.exec(what)?.[1]) * MIB * 1000) / rate;
      expect(ms, what).to.be.within(least * 0.9, least + OVERHEAD_MS);
    }
  });

  it('of a repository is shared by the jobs that run on it, in all processes', async function () {
    this.timeout(30_000);
    // Six MiB each.
    await limit(9 * MIB);
    fleet.work(2);
    const since = performance.now();
    const ids = await Promise.all(['a', 'b', 'c'].map((vm) => accept(vm, 'full')));
    const took = await Promise.all(ids.map(ended));
    const all = performance.now() - since;
    // Until its first renewal, the first one knows nothing of the others.
    expect(all, 'together').to.be.within(2_000 * 0.85, 2_000 + OVERHEAD_MS);
    for (const ms of took) expect(ms, 'none has it for itself').to.be.greaterThan(1_100);
    for (const id of ids) {
      const copied = await restore(id);
      await ended(copied.id);
      await expectEqual(copied.path);
    }
  });

  it('of a repository that is changed takes effect on jobs that run', async function () {
    this.timeout(30_000);
    await limit(64 * 1024);
    const slow = await accept('changed', 'full');
    await running(slow);
    await fleet.accept.clock.sleep(800);
    await limit(64 * MIB);
    expect(await ended(slow), 'it would have taken 96 s').to.be.within(800, 800 + OVERHEAD_MS);
  });

  it('that is limited for the first time slows a full that began without one, and what comes of it is right', async function () {
    this.timeout(90_000);
    const big = join(fleet.sources, 'big.raw');
    // qemu-img begins with 32 MiB at once, and must not be half done by that.
    await makeDisk(big, 96 * MIB, [[0, 80 * MIB]]);
    const server = await startSlowDisk(big);
    try {
      const id = await accept('first', 'full', undefined, {}, { type: 'nbd', uri: server.uri() });
      await running(id);
      await limit(256 * MIB);
      // The writer of the engine: qemu-img was stopped in the middle.
      const engine = async () =>
        (await toolsOf(process.pid)).some(({ argv }) => argv.some((word) => word.includes('--cache=none')));
      const row = () => fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
      await timeUntil(
        engine,
        30_000,
        async () => `the engine writes. The tools: ${JSON.stringify(await toolsOf(process.pid))}
          The job: ${JSON.stringify(await row())}`,
      );
      await server.hurry();
      await ended(id);
      const copied = await restore(id);
      await ended(copied.id);
      await expectEqual(copied.path, big);
    } finally {
      await server.stop();
    }
  });

  it('does not keep a limited job from being cancelled at once, and it loses no lease meanwhile', async function () {
    this.timeout(30_000);
    const id = await accept('cancelled', 'full', 64 * 1024);
    await running(id);
    const lease = async () => {
      const [chain] = await fleet.suite.ds.query<{ fence: string; lease_until: Date }[]>(
        `SELECT c.fence, c.lease_until FROM backup_chains c JOIN backup_jobs b ON b.chain_id = c.id WHERE b.id = ?`,
        [id],
      );
      return { fence: Number(chain?.fence), until: Number(chain?.lease_until) };
    };
    const first = await lease();
    await fleet.accept.clock.sleep(2_000);
    const renewed = await lease();
    expect(renewed.fence, 'leases that were taken').to.equal(1);
    expect(renewed.until - first.until, 'ms by which it was prolonged').to.be.greaterThan(1_000);
    const since = performance.now();
    await cancel(fleet.accept, id);
    expect((await fleet.ended(id)).status).to.equal('cancelled');
    expect(performance.now() - since).to.be.below(RENEW_MS + 1_000);
  });
});
