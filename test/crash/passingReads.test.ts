import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob, RestoreJob } from '../../src/entities/index.js';
import { acceptRestore, acceptValidation } from '../../src/producers/accept/index.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { expectInOrder } from '../helpers/inOrder/index.js';
import { keptUntil, passDelays } from '../helpers/keeping.js';
import { createTrackedVm, type Ledger, type TrackedVm } from '../helpers/trackedVm.js';
import { startWorkforce, type Workforce } from '../helpers/workforce.js';

const MIB = 1024 * 1024;
const DISK = 6 * MIB;
/** More than any disk of a test machine has. */
const NO_ROOM = 2 ** 52;

describe('A restore that passes a backup which waits for room', function () {
  this.timeout(120_000);
  let fleet: TestFleet;
  let workforce: Workforce;
  let vm: TrackedVm;
  const ledger: Ledger = { accepted: [], points: [] };
  before(async () => {
    fleet = await openFleet({ lease: { leaseMs: 1_500, renewEveryMs: 400 } });
    workforce = startWorkforce(fleet, ['backup', 'maintenance', 'restore']);
    vm = await createTrackedVm(fleet, ledger, { name: 'vm', sizeBytes: DISK, pieces: [[0, DISK]] });
    await keptUntil(fleet, async () => fleet.ended(await vm.accept('full')));
  });
  after(async () => {
    await workforce.stop();
    await fleet.close();
  });

  const backupRow = (id: string) => fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
  const restoreRow = (id: string) => fleet.suite.ds.getRepository(RestoreJob).findOneByOrFail({ id });
  const reserve = (bytes: number) =>
    fleet.suite.ds.query('UPDATE repositories SET min_free_bytes = ?', [bytes]);
  const until = async (what: string, done: () => Promise<boolean>) => {
    for (let tries = 0; !(await done()); tries++) {
      if (tries > 1_200) throw new Error(`Not within a minute: ${what}`);
      await fleet.accept.clock.sleep(50);
    }
  };
  /** Accepts a backup and waits until that waits for room. */
  const waitingBackup = async () => {
    await reserve(NO_ROOM);
    await vm.change(MIB, 4096);
    const id = await vm.accept('changes');
    await until('the backup waits', async () => {
      const { status, errorCode } = await backupRow(id);
      return status === 'released' && errorCode === 'no_space';
    });
    return id;
  };
  const restore = async (name: string, rate?: number) => {
    const { restore_id } = await acceptRestore(fleet.accept, {
      backup_id: ledger.points[0]?.id ?? '',
      target: { type: 'file', path: join(fleet.restores, name) },
      format: 'raw',
      ...(rate === undefined ? {} : { max_bytes_per_second: rate }),
    });
    ledger.accepted.push(restore_id);
    return restore_id;
  };
  const expectRestored = async (id: string, name: string) => {
    expect(await fleet.ended(id)).to.deep.include({ status: 'completed', error_code: null });
    const [restored, saved] = await Promise.all(
      [join(fleet.restores, name), ledger.points[0]?.saved ?? ''].map((path) => readFile(path)),
    );
    expect(restored?.equals(saved ?? Buffer.of()), name).to.equal(true);
  };
  /** There is room again, and the backup has its turn. */
  const expectBackedUp = async (id: string) => {
    await reserve(0);
    await until('the backup has ended', async () => {
      await passDelays(fleet);
      return (await backupRow(id)).status === 'completed';
    });
  };

  it('is done while the backup still waits, as is a validation, and the backup is done when there is room', async () => {
    const waiting = await waitingBackup();
    const restored = await restore('passed.raw');
    const { chainId } = await backupRow(waiting);
    const { job_id: validation } = await acceptValidation(fleet.accept, { chainId, level: 'deep' });
    await expectRestored(restored, 'passed.raw');
    expect(await fleet.ended(validation)).to.include({ status: 'completed' });
    expect((await backupRow(waiting)).completedAt).to.equal(null);
    await expectBackedUp(waiting);
  });

  it('and whose worker is killed is done once by another, and the backup is not begun beside it', async () => {
    const waiting = await waitingBackup();
    const restored = await restore('killed.raw', 2 * MIB);
    await until('the restore runs', async () => (await restoreRow(restored)).status === 'running');
    await reserve(0);
    await fleet.accept.clock.sleep(500);
    await keptUntil(fleet, async () => {
      expect(await workforce.killWorkerOf(restored)).to.equal(true);
      // The entry of the backup, which could run now, is stale: only the restore has the turn.
      await passDelays(fleet);
      await expectRestored(restored, 'killed.raw');
      await expectBackedUp(waiting);
    });
    const [restoring, backingUp] = [await restoreRow(restored), await backupRow(waiting)];
    expect(restoring.deaths).to.equal(1);
    expect(Number(backingUp.fence), 'after the restore').to.be.above(Number(restoring.fence));
    expect(backingUp.startedAt?.getTime()).to.be.below(restoring.startedAt?.getTime() ?? 0);
  });

  it('in which the backup could run again goes on to its end under the one lease, and the backup follows', async () => {
    const waiting = await waitingBackup();
    const restored = await restore('beside.raw', 2 * MIB);
    await until('the restore runs', async () => (await restoreRow(restored)).status === 'running');
    await reserve(0);
    const held = async () =>
      (
        await fleet.suite.ds.query<{ lease_job_id: string | null }[]>(
          'SELECT lease_job_id FROM backup_chains',
        )
      )[0]?.lease_job_id;
    while ((await restoreRow(restored)).status === 'running') {
      await passDelays(fleet);
      expect(await held()).to.be.oneOf([restored, waiting, null]);
      expect([(await restoreRow(restored)).status, (await backupRow(waiting)).status]).not.to.deep.equal([
        'running',
        'running',
      ]);
      await fleet.accept.clock.sleep(50);
    }
    await expectRestored(restored, 'beside.raw');
    await expectBackedUp(waiting);
  });

  it('leaves everything in order', async () => {
    await workforce.stop();
    await expectInOrder(fleet, ledger);
  });
});
