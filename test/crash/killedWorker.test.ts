import { copyFile, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob, MaintenanceJob } from '../../src/entities/index.js';
import { acceptBackup, acceptRestore, acceptValidation } from '../../src/producers/accept/index.js';
import { compareImages } from '../../src/qcow2/index.js';
import { makeDisk, writeAt } from '../helpers/disks.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { startWorkerProcess } from '../helpers/workerProcess.js';

const SIZE = 4 * 1024 * 1024;
const LEASE_MS = 1_500;
/** All points in the soak run; in the short one every so many, beginning anew each day of the month. */
const STRIDE = Number(process.env.STRATA_KILL_STRIDE ?? 6);

describe('A worker that is killed', () => {
  let fleet: TestFleet;
  let disk: string;
  const points: { id: string; saved: string }[] = [];
  before(async () => {
    fleet = await openFleet({ lease: { leaseMs: LEASE_MS, renewEveryMs: 400 } });
    disk = join(fleet.sources, 'disk.raw');
    await makeDisk(disk, SIZE, [[0, 500_000]]);
  });
  after(() => fleet.close());

  const accept = async () => {
    const answer = await acceptBackup(fleet.accept, {
      vm_name: 'victim',
      repository_id: 'main',
      backup_type: 'auto',
      disks: [{ disk_id: 0, source: { type: 'file', path: disk, format: 'raw' } }],
    });
    return answer.disk_results[0]?.backup_id ?? '';
  };
  const remember = async (id: string) => {
    const saved = join(fleet.suite.tempDir, `${id}.saved`);
    await copyFile(disk, saved);
    points.push({ id, saved });
  };
  /** What the survivors do: the keeper sweeps once the lease has run out, and another worker takes over. */
  const recover = async (id: string) => {
    await fleet.accept.clock.sleep(LEASE_MS + 200);
    await fleet.sweep();
    fleet.work();
    try {
      return await fleet.ended(id, 30_000);
    } finally {
      await fleet.stopWorking();
    }
  };

  let operations: string[] = [];
  it('is counted first: a run to the end, with all the operations that change something', async () => {
    const log = join(fleet.suite.tempDir, 'operations');
    fleet.work();
    const first = await accept();
    expect((await fleet.ended(first)).status).to.equal('completed');
    await fleet.stopWorking();
    await remember(first);
    await writeAt(disk, 100_000, 5000);
    const worker = startWorkerProcess(fleet, 'backup', {
      STRATA_TEST_KILL_AT: '0',
      STRATA_TEST_KILL_ROOT: fleet.repositoryRoot,
      STRATA_TEST_KILL_LOG: log,
    });
    const id = await accept();
    const end = await fleet.ended(id);
    await worker.stop();
    expect(end.status, end.error_detail ?? worker.output()).to.equal('completed');
    await remember(id);
    operations = (await readFile(log, 'utf8')).trim().split('\n');
    expect(operations.length).to.be.greaterThan(20);
  });

  it('before any operation leaves a job that another worker finishes, once, and no point is harmed', async function () {
    this.timeout(operations.length * 15_000);
    const first = 1 + (new Date().getDate() % STRIDE);
    for (let at = first; at <= operations.length; at += STRIDE) {
      const where = operations[at - 1] ?? '';
      await writeAt(disk, (at * 65536) % (SIZE - 9000), 9000);
      const worker = startWorkerProcess(fleet, 'backup', {
        STRATA_TEST_KILL_AT: String(at),
        STRATA_TEST_KILL_ROOT: fleet.repositoryRoot,
      });
      const id = await accept();
      expect(
        await Promise.race([worker.gone, fleet.ended(id).then(() => 'ended first')]),
        `${where}\n${worker.output()}`,
      ).to.be.oneOf(['SIGKILL', 'ended first']);
      const end = await recover(id);
      await worker.stop();
      expect(end.status, `killed before ${where}: ${end.error_detail}`).to.equal('completed');
      await remember(id);
    }
  });

  it('leaves one file per completed backup, and nothing else', async () => {
    const rows = await fleet.suite.ds.getRepository(BackupJob).find();
    expect(rows.every(({ status }) => status === 'completed')).to.equal(true);
    const directory = join(fleet.repositoryRoot, rows[0]?.repositoryPath ?? '', '..');
    const names = await readdir(directory);
    expect(names.filter((name) => name.endsWith('.qcow2'))).to.have.length(points.length);
    expect(names).to.have.length(points.length * 3);
  });

  it('leaves a healthy chain of which every point restores as it was', async function () {
    this.timeout(points.length * 10_000);
    fleet.work();
    const { chainId } = await fleet.suite.ds
      .getRepository(BackupJob)
      .findOneByOrFail({ id: points[0]?.id ?? '' });
    const { job_id } = await acceptValidation(fleet.accept, { chainId, level: 'quick' });
    await fleet.ended(job_id);
    const job = await fleet.suite.ds.getRepository(MaintenanceJob).findOneByOrFail({ id: job_id });
    expect(job.result, JSON.stringify(job.result)).to.include({ healthy: true });
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
      await rm(path);
    }
  });
});
