import { mkdir, readdir, rename, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob, MaintenanceJob } from '../../src/entities/index.js';
import { acceptRestore, acceptValidation, registerRepository } from '../../src/producers/accept/index.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { expectInOrder } from '../helpers/inOrder/index.js';
import { passDelays } from '../helpers/keeping.js';
import { openSmallDisk, openThinDisk } from '../helpers/mounts.js';
import { type NbdServer, startNbdkit } from '../helpers/nbdServers.js';
import { createTrackedVm, type Ledger, type TrackedVm, type Way } from '../helpers/trackedVm.js';

const MIB = 1024 * 1024;
const WAYS: Way[] = ['full', 'changes', 'compare'];
/** Milliseconds after the work has begun at which the repository goes away. */
const MOMENTS = (process.env.STRATA_UNMOUNT_MOMENTS ?? '0,400').split(',').map(Number);

/** A repository that can go away and come back, and a VM that is backed up to it. */
interface Lane {
  name: string;
  root: string;
  vm: TrackedVm;
  full: string;
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
}

describe('A repository that goes away in the middle', () => {
  let fleet: TestFleet;
  const ledger: Ledger = { accepted: [], points: [] };
  const servers: NbdServer[] = [];
  const disks: { remove(): Promise<void> }[] = [];
  before(async () => {
    fleet = await openFleet();
    fleet.work(8);
  });
  after(async function () {
    this.timeout(60_000);
    await fleet.stopWorking();
    for (const server of servers) await server.stop();
    for (const disk of disks) await disk.remove();
    await fleet.close();
  });

  const row = (id: string) => fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
  const ended = async (id: string) => {
    const end = await fleet.ended(id, 30_000);
    expect(end.status, `${id}: ${end.error_code} ${end.error_detail}`).to.equal('completed');
  };
  const openLane = async (
    name: string,
    root: string,
    ways: Pick<Lane, 'goAway' | 'comeBack'>,
  ): Promise<Lane> => {
    await registerRepository(fleet.accept, { name, type: 'local', root_path: root });
    const vm = await createTrackedVm(fleet, ledger, { name, sizeBytes: 2 * MIB, pieces: [[0, MIB]] });
    const full = await vm.accept('full', { repository: name });
    await ended(full);
    await vm.change(0, MIB);
    return { name, root, vm, full, ...ways };
  };
  const mountedLane = async (name: string) => {
    const disk = await openSmallDisk(fleet.suite.tempDir, name, 16 * MIB);
    disks.push(disk);
    return openLane(name, disk.path, { goAway: disk.unmount, comeBack: disk.mount });
  };
  /** The root is another directory, an empty one, until the right one is put back. */
  const replacedLane = async (name: string) => {
    const root = join(fleet.suite.tempDir, name);
    await mkdir(root);
    return openLane(name, root, {
      goAway: async () => {
        await rename(root, `${root}.away`);
        await mkdir(root);
      },
      comeBack: async () => {
        await rmdir(root);
        await rename(`${root}.away`, root);
      },
    });
  };
  /** The lane's backup, from a source that takes its time, and the repository gone so long after it has begun. */
  const loseDuring = async (lane: Lane, way: Way, moment: number) => {
    const server = await startNbdkit('--filter=delay', 'file', lane.vm.disk, 'rdelay=200ms');
    servers.push(server);
    const source = { type: 'nbd', uri: server.uri() } as const;
    const id = await lane.vm.accept(way, { source, repository: lane.name });
    while ((await row(id)).status === 'released') await fleet.accept.clock.sleep(5);
    await fleet.accept.clock.sleep(moment);
    await lane.goAway();
    for (;;) {
      const job = await row(id);
      if (job.errorCode !== null || job.status === 'completed') return job;
      await fleet.accept.clock.sleep(20);
    }
  };
  const expectUnharmed = async ({ root, full }: Lane) => {
    expect(await readdir(root), 'the empty directory').to.deep.equal([]);
    expect((await row(full)).health).to.equal('ok');
  };

  for (const [what, open] of [
    ['unmounted', mountedLane],
    ['replaced by an empty directory', replacedLane],
  ] as const) {
    it(`${what}, makes its backups wait: nothing is written in its place, and they complete when it is back`, async () => {
      let waited = 0;
      await Promise.all(
        WAYS.flatMap((way) =>
          MOMENTS.map(async (moment) => {
            const lane = await open(`${what.slice(0, 3)}-${way}-${moment}`);
            const job = await loseDuring(lane, way, moment);
            await expectUnharmed(lane);
            if (job.status !== 'completed') {
              const seen = `${job.status} ${job.errorCode}: ${job.errorDetail}`;
              expect(seen, lane.name).to.match(/^released repository_unavailable/);
              expect(job.attempts).to.equal(0);
              waited++;
            }
            await lane.comeBack();
            await passDelays(fleet);
            await ended(job.id);
          }),
        ),
      );
      // The last moments may come after the end.
      expect(waited).to.be.at.least((WAYS.length * MOMENTS.length) / 2);
    });
  }

  it('unmounted, makes validations and restores wait, and marks nothing', async () => {
    const lane = await mountedLane('readers');
    const { chainId } = await row(lane.full);
    for (const [index, moment] of MOMENTS.map((each) => each / 4).entries()) {
      const { job_id } = await acceptValidation(fleet.accept, { chainId, level: 'quick' });
      const { restore_id } = await acceptRestore(fleet.accept, {
        backup_id: lane.full,
        target: { type: 'file', path: join(fleet.restores, `${index}.raw`) },
        format: 'raw',
      });
      ledger.accepted.push(job_id, restore_id);
      await fleet.accept.clock.sleep(moment);
      await lane.goAway();
      await fleet.accept.clock.sleep(400);
      await expectUnharmed(lane);
      await lane.comeBack();
      for (const id of [job_id, restore_id]) {
        const timer = setInterval(() => void passDelays(fleet), 200);
        try {
          await ended(id);
        } finally {
          clearInterval(timer);
        }
      }
      const { result } = await fleet.suite.ds.getRepository(MaintenanceJob).findOneByOrFail({ id: job_id });
      expect(result, JSON.stringify(result)).to.include({ healthy: true });
    }
  });

  it('whose storage fails, and which is read-only since then, is waited for until it is mended', async () => {
    await Promise.all(
      WAYS.map(async (way) => {
        const disk = await openThinDisk(fleet.suite.tempDir, `thin-${way}`);
        disks.push(disk);
        const lane = await openLane(`thin-${way}`, disk.path, {
          goAway: () => disk.tighten(MIB / 2),
          comeBack: disk.mend,
        });
        const job = await loseDuring(lane, way, 0);
        const seen = `${job.status} ${job.errorCode}: ${job.errorDetail}`;
        // A direct write is told that the storage has no room; a flush only that it has failed.
        expect(seen, way).to.match(/^released (repository_unavailable|no_space)/);
        expect((await row(lane.full)).health).to.equal('ok');
        await lane.comeBack();
        await passDelays(fleet);
        await ended(job.id);
      }),
    );
  });

  it('leaves everything in order when it is back', async () => {
    const ends = await expectInOrder(fleet, ledger);
    for (const [id, { status }] of ends) expect(status, id).to.equal('completed');
  });
});
