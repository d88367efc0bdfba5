import { copyFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob } from '../../src/entities/index.js';
import { acceptBackup, acceptRestore } from '../../src/producers/accept/index.js';
import { compareImages } from '../../src/qcow2/index.js';
import { makeDisk, writeAt } from '../helpers/disks.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { startNbdkit } from '../helpers/nbdServers.js';
import { startWorkerProcess } from '../helpers/workerProcess.js';

const SIZE = 4 * 1024 * 1024;
const LEASE_MS = 1_500;
/** Moments at which the worker is frozen, in ms after it has begun to work; more of them in the soak run. */
const MOMENTS = (process.env.STRATA_FREEZE_MOMENTS ?? '30,250,700').split(',').map(Number);

describe('A worker that is frozen for longer than its lease', () => {
  let fleet: TestFleet;
  let disk: string;
  before(async () => {
    fleet = await openFleet({ lease: { leaseMs: LEASE_MS, renewEveryMs: 400 } });
    disk = join(fleet.sources, 'disk.raw');
    await makeDisk(disk, SIZE, [[0, 2_000_000]]);
  });
  after(() => fleet.close());

  const accept = async () => {
    const server = await startNbdkit('--filter=delay', 'file', disk, 'rdelay=10ms');
    const answer = await acceptBackup(fleet.accept, {
      vm_name: 'frozen',
      repository_id: 'main',
      backup_type: 'auto',
      disks: [{ disk_id: 0, source: { type: 'nbd', uri: server.uri() } }],
    });
    return { id: answer.disk_results[0]?.backup_id ?? '', server };
  };

  it('commits nothing and publishes nothing when it wakes: its job is done once, by another', async function () {
    this.timeout(MOMENTS.length * 30_000);
    const points: { id: string; saved: string }[] = [];
    for (const [index, moment] of MOMENTS.entries()) {
      await writeAt(disk, index * 300_000, 200_000);
      const zombie = startWorkerProcess(fleet, 'backup');
      const { id, server } = await accept();
      try {
        while (!zombie.output().includes('"working"') && zombie.child.exitCode === null)
          await fleet.accept.clock.sleep(20);
        await fleet.accept.clock.sleep(moment);
        zombie.child.kill('SIGSTOP');
        await fleet.accept.clock.sleep(LEASE_MS * 2);
        fleet.work();
        const ended = fleet.ended(id, 45_000);
        // As the keeper does: a worker may have been frozen with the chain's row locked, which the server ends.
        const over = ended.then(
          () => true,
          () => true,
        );
        while (!(await Promise.race([over, fleet.accept.clock.sleep(500).then(() => false)])))
          await fleet.sweep();
        const end = await ended;
        expect(end.status, `frozen after ${moment} ms: ${end.error_detail}`).to.equal('completed');
        await fleet.stopWorking();
        zombie.child.kill('SIGCONT');
        await fleet.accept.clock.sleep(1_000);
        const row = await fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
        expect(row.status).to.equal('completed');
      } finally {
        await zombie.stop();
        await server.stop();
      }
      const saved = join(fleet.suite.tempDir, `${id}.saved`);
      await copyFile(disk, saved);
      points.push({ id, saved });
    }
    const rows = await fleet.suite.ds.getRepository(BackupJob).find();
    const directory = join(fleet.repositoryRoot, rows[0]?.repositoryPath ?? '', '..');
    expect(await readdir(directory)).to.have.length(points.length * 3);
    fleet.work();
    for (const { id, saved } of points) {
      const path = join(fleet.restores, `${id}.raw`);
      const { restore_id } = await acceptRestore(fleet.accept, {
        backup_id: id,
        target: { type: 'file', path },
        format: 'raw',
      });
      expect((await fleet.ended(restore_id)).status).to.equal('completed');
      const { identical } = await compareImages(
        { type: 'file', path, format: 'raw' },
        { type: 'file', path: saved, format: 'raw' },
      );
      expect(identical, id).to.equal(true);
    }
  });
});
