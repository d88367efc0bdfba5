import type { BackupDiskCreate } from '../../src/contract/index.js';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openSource } from '../../src/datapath/index.js';
import type { BackupJob } from '../../src/entities/index.js';
import { acceptBackup } from '../../src/producers/accept/index.js';
import { compareImages, type ImageFormat } from '../../src/qcow2/index.js';
import { BLOCK_SIZE } from '../../src/shared/extents.js';
import { makeDisk, writeAt } from '../helpers/disks.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { startQemuNbd } from '../helpers/nbdServers.js';
import { runTool } from '../helpers/runTool.js';
import { endedPoint, imageOf, told } from '../helpers/vmOfDisks.js';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const SIZE = 64 * GIB;
/** What the tracker calls changed after a TRIM: the lesson's figure. */
const DIRTY = 38 * GIB;
/** Data all over the disk, which the TRIM takes away as far as it lies in the dirty range. */
const OLD = Array.from({ length: 48 }, (_, n) => n * 1.3 * GIB).map((at) => at - (at % BLOCK_SIZE));
/** The increment proper: far apart, and none of it where there was data. */
const NEW = Array.from({ length: 16 }, (_, n) => (n * 2.2 + 0.75) * GIB).map((at) => at - (at % BLOCK_SIZE));
const NEW_BYTES = NEW.length * BLOCK_SIZE;
/** QCOW2 tables (64 KiB for each 512 MiB that has anything in it) and what belongs to them. */
const METADATA = 6 * MIB;
/** Reading what is dirty would take longer, even where it is a hole. */
const SOON_MS = 20_000;

describe('A TRIM', function () {
  this.timeout(120_000);
  let fleet: TestFleet;
  before(async () => {
    fleet = await openFleet();
    fleet.work(2);
  });
  after(() => fleet.close());

  const backUp = async (vm_name: string, disk: BackupDiskCreate): Promise<BackupJob> => {
    const { restore_point_id, disk_results } = await acceptBackup(fleet.accept, {
      vm_name,
      repository_id: 'main',
      backup_type: disk.since_change_id === undefined ? 'full' : 'incremental',
      disks: [disk],
    });
    const ids = disk_results.map(({ backup_id }) => backup_id);
    const [backup] = Object.values((await endedPoint(fleet, restore_point_id, ids)).backups);
    if (!backup) throw new Error('There is no backup.');
    return backup;
  };
  /** Demands an increment of so many bytes of data, in a file of little more, made soon, with the content of the disk. */
  const expectSmall = async (backup: BackupJob, bytes: number, disk: string, format: ImageFormat) => {
    expect(told(backup), backup.errorDetail ?? '').to.equal('incremental');
    expect(backup.bytesTransferred).to.equal(bytes);
    const path = await imageOf(fleet, backup);
    expect((await stat(path)).blocks * 512).to.be.below(bytes + METADATA);
    const ms = (backup.completedAt?.getTime() ?? Infinity) - (backup.startedAt?.getTime() ?? 0);
    expect(ms).to.be.below(SOON_MS);
    const { identical, message } = await compareImages(
      { type: 'file', path, format: 'qcow2' },
      { type: 'file', path: disk, format },
    );
    expect(identical, message).to.equal(true);
  };

  it('lesson 16: 38 GiB that a change list names and that read as zero cost tables only, whatever the parent has', async () => {
    const path = join(fleet.sources, 'trimmed.raw');
    await makeDisk(
      path,
      SIZE,
      OLD.map((at) => [at, BLOCK_SIZE]),
    );
    const disk = { disk_id: 0, source: { type: 'file' as const, path, format: 'raw' as const } };
    expect(told(await backUp('list', { ...disk, change_id: 'a' }))).to.equal('full');
    await runTool('fallocate', '--punch-hole', '--offset', '0', '--length', String(DIRTY), path);
    for (const at of NEW) await writeAt(path, at, BLOCK_SIZE);
    const list = { changed_extents: [{ offset: 0, length: DIRTY }] };
    const after = await backUp('list', { ...disk, ...list, since_change_id: 'a', change_id: 'b' });
    await expectSmall(after, NEW_BYTES, path, 'raw');
    // Now the parent has zeros there, too, and the same data.
    await writeAt(path, DIRTY - MIB, BLOCK_SIZE);
    const again = await backUp('list', { ...disk, ...list, since_change_id: 'b', change_id: 'c' });
    await expectSmall(again, BLOCK_SIZE, path, 'raw');
  });

  it('lesson 16: 38 GiB in a dirty bitmap that read as zero cost tables only', async () => {
    const path = join(fleet.sources, 'trimmed.qcow2');
    await runTool('qemu-img', 'create', '-q', '-f', 'qcow2', path, String(SIZE));
    const change = (...commands: string[]) =>
      runTool('qemu-io', '-d', 'unmap', '-f', 'qcow2', ...commands.flatMap((each) => ['-c', each]), path);
    await change(...OLD.map((at, n) => `write -q -P ${n + 1} ${at} ${BLOCK_SIZE}`));
    const disk = { disk_id: 0, source: { type: 'file' as const, path, format: 'qcow2' as const } };
    expect(told(await backUp('bitmap', { ...disk, change_id: 'a' }))).to.equal('full');
    await runTool('qemu-img', 'bitmap', '--add', '-g', String(BLOCK_SIZE), '-f', 'qcow2', path, 'dirty');
    await change(
      ...Array.from({ length: DIRTY / GIB }, (_, n) => `discard -q ${n * GIB} ${GIB}`),
      ...NEW.map((at, n) => `write -q -P ${n + 101} ${at} ${BLOCK_SIZE}`),
    );
    const server = await startQemuNbd(path, '-r', '-f', 'qcow2', '-B', 'dirty');
    try {
      const source = { type: 'nbd' as const, uri: server.uri(), bitmap: 'dirty' };
      const policy = { ...fleet.services.sourcePolicy, scratchDir: fleet.services.scratchDir };
      const opened = await openSource(source, policy, {});
      let dirty = 0;
      for await (const { length } of opened.changed('dirty')) dirty += length;
      await opened.close();
      expect(dirty).to.be.at.least(DIRTY);
      const after = await backUp('bitmap', { disk_id: 0, source, since_change_id: 'a', change_id: 'b' });
      await expectSmall(after, NEW_BYTES, path, 'qcow2');
    } finally {
      await server.stop();
    }
  });
});
