import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob } from '../../src/entities/index.js';
import { registerRepository } from '../../src/producers/accept/index.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { expectInOrder } from '../helpers/inOrder/index.js';
import { passDelays } from '../helpers/keeping.js';
import { openSmallDisk, type SmallDisk } from '../helpers/mounts.js';
import { createTrackedVm, type Ledger, type TrackedVm, type Way } from '../helpers/trackedVm.js';
import { namesBelow } from '../helpers/namesBelow.js';

const MIB = 1024 * 1024;
const BLOCK = 4096;
const DISK_BYTES = 16 * MIB;
const DATA = 2 * MIB;
/** Blocks that are missing for a whole backup: its last ones are those of the index and the manifest. */
const SHORT_BY = (process.env.STRATA_SHORT_BY ?? '1,2,3').split(',').map(Number);

/** A repository on a file system of its own, and a VM that is backed up to it. */
interface Lane {
  disk: SmallDisk;
  name: string;
  root: string;
  vm: TrackedVm;
  way: Way;
}

describe('A repository that is full', () => {
  let fleet: TestFleet;
  const ledger: Ledger = { accepted: [], points: [] };
  const disks: SmallDisk[] = [];
  before(async () => {
    fleet = await openFleet();
    fleet.work(4);
  });
  after(async function () {
    this.timeout(60_000);
    await fleet.stopWorking();
    for (const disk of disks) await disk.remove();
    await fleet.close();
  });

  /** A lane whose next backup, in this way, has 2 MiB to write. */
  const openLane = async (way: Way, name: string, min_free_bytes = 0): Promise<Lane> => {
    const disk = await openSmallDisk(fleet.suite.tempDir, name, DISK_BYTES);
    disks.push(disk);
    const root = join(disk.path, 'repository');
    await mkdir(root);
    await registerRepository(fleet.accept, { name, type: 'local', root_path: root, min_free_bytes });
    const pieces = [[0, DATA]] as const;
    const vm = await createTrackedVm(fleet, ledger, { name, sizeBytes: 2 * DATA, pieces });
    if (way !== 'full') {
      expect((await fleet.ended(await vm.accept('full', { repository: name }))).status).to.equal('completed');
      await vm.change(0, DATA);
    }
    return { disk, name, root, vm, way };
  };
  const row = (id: string) => fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
  /** Accepts the lane's backup, and waits until it has no room, or has completed all the same. */
  const attempt = async ({ vm, way, name }: Lane) => {
    const id = await vm.accept(way, { repository: name });
    for (;;) {
      const job = await row(id);
      if (job.status === 'completed' || job.errorCode !== null) return job;
      await fleet.accept.clock.sleep(20);
    }
  };
  const expectWaiting = async (lane: Lane | undefined, job: BackupJob, saying = /./) => {
    expect(`${job.status} ${job.errorCode}`, `${lane?.name}: ${job.errorDetail}`).to.equal(
      'released no_space',
    );
    expect(job.errorDetail).to.include(`Repository ${lane?.name} `).and.to.match(saying);
    expect(job.attempts, 'waiting costs no attempt').to.equal(0);
    const names = await namesBelow(lane?.root ?? '');
    expect(names.filter((name) => name.includes('.partial'))).to.deep.equal([]);
  };
  /** What a backup of this way takes, in bytes of the file system. */
  const measure = async (way: Way): Promise<number> => {
    const lane = await openLane(way, `${way}-whole`);
    const before = await lane.disk.free();
    expect((await attempt(lane)).status).to.equal('completed');
    return before - (await lane.disk.free());
  };
  /** Makes room everywhere, and lets the waiting time pass. */
  const expectGoOn = async (lanes: readonly Lane[], jobs: readonly BackupJob[]) => {
    for (const { disk } of lanes) await disk.makeRoom();
    await passDelays(fleet);
    for (const { id } of jobs) expect((await fleet.ended(id, 30_000)).status).to.equal('completed');
  };

  for (const way of ['full', 'changes'] as const) {
    it(`in the middle of ${way === 'full' ? 'a full' : 'a change list'} keeps nothing of it: the job says where, and waits for room`, async () => {
      const needed = await measure(way);
      const rooms = [needed / 2, ...SHORT_BY.map((blocks) => needed - blocks * BLOCK)];
      const lanes = await Promise.all(rooms.map((_, index) => openLane(way, `${way}-${index}`)));
      await Promise.all(
        lanes.map((lane, index) => lane.disk.leave({ bytes: Math.floor(rooms[index] ?? 0) })),
      );
      const jobs = await Promise.all(lanes.map(attempt));
      for (const [index, job] of jobs.entries()) await expectWaiting(lanes[index], job);
      await expectGoOn(lanes, jobs);
    });

    it(`at the ${way === 'full' ? "full's" : "change list's"} image, index or manifest keeps nothing of it either`, async () => {
      // The directories of the VM and of its disk, where they are not there yet; then the three files.
      const directories = way === 'full' ? 2 : 0;
      const names = [0, 1, 2].map((files) => directories + files);
      const lanes = await Promise.all(names.map((count) => openLane(way, `${way}-names-${count}`)));
      await Promise.all(lanes.map(({ disk }, index) => disk.leave({ names: names[index] ?? 0 })));
      const jobs = await Promise.all(lanes.map(attempt));
      const sayings = [/qemu-img/, /open '.*\.digests\./, /open '.*\.json\./];
      for (const [index, job] of jobs.entries()) await expectWaiting(lanes[index], job, sayings[index]);
      await expectGoOn(lanes, jobs);
    });
  }

  it('is not filled again by a backup that is known not to fit', async () => {
    const lane = await openLane('full', 'once');
    await lane.disk.leave({ bytes: DATA / 2 });
    const first = await attempt(lane);
    await expectWaiting(lane, first);
    await passDelays(fleet);
    let again = first;
    while (again.delivery === first.delivery) again = await row(first.id);
    await expectWaiting(lane, again, /has \d+ bytes left; the backup takes at least \d+/);
    await expectGoOn([lane], [first]);
  });

  it('up to its reserve is not written to at all', async () => {
    const lane = await openLane('full', 'reserve', 8 * MIB);
    await lane.disk.leave({ bytes: 7 * MIB });
    const before = await lane.disk.free();
    const job = await attempt(lane);
    await expectWaiting(lane, job, new RegExp(`its reserve is ${8 * MIB}`));
    // The directories only.
    expect(before - (await lane.disk.free())).to.be.at.most(2 * BLOCK);
    await expectGoOn([lane], [job]);
  });

  it('leaves everything in order when there is room', async () => {
    const ends = await expectInOrder(fleet, ledger);
    for (const [id, { status }] of ends) expect(status, id).to.equal('completed');
  });
});
