import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob, LayerProof, MaintenanceJob } from '../../src/entities/index.js';
import { acceptBackup, acceptValidation, cancel } from '../../src/producers/accept/index.js';
import { sidecarsOf } from '../../src/services/repository/layout.js';
import type { ValidationReport } from '../../src/services/validation/index.js';
import { makeDisk } from '../helpers/disks.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { startWorkerProcess } from '../helpers/workerProcess.js';
import { flip } from '../integration/services/validation/faultTools.js';
import { placeOf } from '../integration/services/validation/deep/places.js';

const MIB = 1024 * 1024;
const DATA = 24 * MIB;
/** So slow that a reading takes seconds. */
const SLOW = 6 * MIB;
const LEASE_MS = 1_500;

describe('A deep validation', function () {
  this.timeout(90_000);
  let fleet: TestFleet;
  let chainId: string;
  let fullId: string;
  before(async () => {
    fleet = await openFleet({ lease: { leaseMs: LEASE_MS, renewEveryMs: 400 } });
    await makeDisk(join(fleet.sources, 'disk.raw'), 2 * DATA, [[0, DATA]]);
    fleet.work();
    fullId = await backup('full');
    await fleet.ended(fullId);
    chainId = (await backupRow(fullId)).chainId;
    await fleet.stopWorking();
  });
  after(() => fleet.close());

  const backupRow = (id: string) => fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
  const jobRow = (id: string) => fleet.suite.ds.getRepository(MaintenanceJob).findOneByOrFail({ id });

  const backup = async (type: 'full' | 'incremental') => {
    const answer = await acceptBackup(fleet.accept, {
      vm_name: 'vm',
      repository_id: 'main',
      backup_type: type,
      disks: [{ disk_id: 0, source: { type: 'file', path: join(fleet.sources, 'disk.raw'), format: 'raw' } }],
    });
    return answer.disk_results[0]?.backup_id ?? '';
  };
  const limit = (rate: number | null) =>
    fleet.suite.ds.query('UPDATE repositories SET max_bytes_per_second = ?', [rate]);
  const validateDeep = async () => (await acceptValidation(fleet.accept, { chainId, level: 'deep' })).job_id;
  const reportOf = async (id: string) => (await jobRow(id)).result as unknown as ValidationReport;
  /** Waits until so many blocks of the full have been compared. */
  const readUpTo = async (blocks: number) => {
    const upTo = async () =>
      (await fleet.suite.ds.getRepository(LayerProof).findOneBy({ backupId: fullId }))?.pass?.up_to ?? 0;
    while ((await upTo()) < blocks) await fleet.accept.clock.sleep(50);
  };

  it('that is killed goes on where it was, and remembers what it had found', async () => {
    const image = join(fleet.repositoryRoot, (await backupRow(fullId)).repositoryPath ?? '');
    await flip(image, await placeOf(image, 70_000));
    await limit(SLOW);
    const worker = startWorkerProcess(fleet, 'maintenance');
    const id = await validateDeep();
    await readUpTo(100);
    worker.child.kill('SIGKILL');
    await worker.gone;
    await limit(null);
    await fleet.accept.clock.sleep(LEASE_MS + 200);
    await fleet.sweep();
    fleet.work();
    expect(await fleet.ended(id)).to.include({ status: 'completed' });
    const report = await reportOf(id);
    expect(report.read?.complete).to.equal(true);
    expect(report.read?.bytes).to.be.within(MIB, DATA - 6 * MIB);
    expect(report.backups[0]?.damaged).to.deep.equal([{ offset: 65_536, length: 65_536 }]);
    expect(await backupRow(fullId)).to.include({ health: 'damaged', damageLocated: true });
    await flip(image, await placeOf(image, 70_000));
  });

  it('stands aside for a backup of its chain, and goes on behind it', async () => {
    await limit(SLOW);
    const id = await validateDeep();
    await readUpTo(60);
    // Accepted behind it, done before it.
    const next = await backup('full');
    expect(await fleet.ended(next)).to.include({ status: 'completed' });
    expect((await jobRow(id)).status).to.be.oneOf(['queued', 'released', 'running']);
    await limit(null);
    expect(await fleet.ended(id)).to.include({ status: 'completed' });
    const report = await reportOf(id);
    expect(report).to.deep.include({ healthy: true });
    expect(report.backups.map(({ health }) => health)).to.deep.equal(['ok', 'ok']);
    // The rest of the one, and all of the other.
    expect(report.read?.bytes).to.be.within(DATA + MIB, 2 * DATA - 3 * MIB);
    expect((await jobRow(id)).attempts).to.equal(1);
  });

  it('that builds an index anew stands aside once, and the second time goes through', async () => {
    const { repositoryPath } = await backupRow(fullId);
    const index = join(fleet.repositoryRoot, sidecarsOf(repositoryPath ?? '').digests);
    await rm(index);
    await limit(SLOW);
    const id = await validateDeep();
    const reading = async () => {
      while (((await jobRow(id)).progress?.bytes_done ?? 0) < 4 * MIB) await fleet.accept.clock.sleep(50);
    };
    await reading();
    const first = await backup('incremental');
    expect(await fleet.ended(first)).to.include({ status: 'completed' });
    expect((await jobRow(id)).result).to.equal(null);
    await fleet.suite.ds.query('UPDATE maintenance_jobs SET progress = NULL WHERE id = ?', [id]);
    await reading();
    const second = await backup('incremental');
    const isRebuilt = async () =>
      (await fleet.suite.ds.getRepository(LayerProof).findOneByOrFail({ backupId: fullId })).provedAt;
    const before = await isRebuilt();
    expect(await fleet.ended(second)).to.include({ status: 'completed' });
    expect(await isRebuilt()).to.be.greaterThan(before as Date);
    await limit(null);
    expect(await fleet.ended(id)).to.include({ status: 'completed' });
    const report = await reportOf(id);
    expect((await stat(index)).size).to.be.greaterThan(0);
    expect(report).to.include({ healthy: true });
  });

  it('that is cancelled stops at once, and leaves what it knows to the next', async () => {
    await limit(SLOW);
    const id = await validateDeep();
    await readUpTo(60);
    await cancel(fleet.accept, id);
    const began = performance.now();
    expect(await fleet.ended(id)).to.include({ status: 'cancelled' });
    expect(performance.now() - began).to.be.lessThan(3_000);
    await limit(null);
  });
});
