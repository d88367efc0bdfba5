import type { BackupCreate } from '../../../../src/contract/index.js';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import { BackupJob, type RequestedType } from '../../../../src/entities/index.js';
import type { DiskSource } from '../../../../src/shared/sources.js';
import { acceptBackup, registerVm } from '../../../../src/producers/accept/index.js';
import { compareImages } from '../../../../src/qcow2/index.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';
import { startQemuNbd } from '../../../helpers/nbdServers.js';
import { runTool } from '../../../helpers/runTool.js';
import { imageOf } from '../../../helpers/vmOfDisks.js';

const MIB = 1024 * 1024;
const SIZE = 8 * MIB;

/** A QCOW2 disk with a dirty bitmap of QEMU's, served by qemu-nbd for each backup. */
describe('A backup by a dirty bitmap', () => {
  let fleet: TestFleet;
  let path: string;
  let disks = 0;
  before(async () => {
    fleet = await openFleet();
    fleet.work();
  });
  after(() => fleet.close());
  beforeEach(async () => {
    path = join(fleet.sources, `disk-${disks++}.qcow2`);
    await runTool('qemu-img', 'create', '-q', '-f', 'qcow2', path, String(SIZE));
    await write(17, 0, SIZE);
    await runTool('qemu-img', 'bitmap', '--add', '-g', '65536', '-f', 'qcow2', path, 'b0');
  });

  const write = (tag: number, offset: number, length: number) =>
    runTool('qemu-io', '-f', 'qcow2', '-c', `write -q -P ${tag} ${offset} ${length}`, path);
  const resize = (bytes: number) =>
    runTool('qemu-img', 'resize', '-q', '--shrink', '-f', 'qcow2', path, String(bytes));

  interface Way {
    /** The bitmap that the server offers; none for null. */
    offered?: string | null;
    /** The bitmap that the source names; null: the request names no source. */
    named?: string | null;
    more?: Partial<BackupCreate>;
  }
  let id = 0;
  let since: string | undefined;
  beforeEach(() => {
    since = undefined;
  });
  /** Serves the disk, backs it up, and expects what is in the repository to be what is on the disk, if it completed. */
  const backUp = async (type: RequestedType, { offered = 'b0', named = 'b0', more = {} }: Way = {}) => {
    const server = await startQemuNbd(path, '-r', '-f', 'qcow2', ...(offered ? ['-B', offered] : []));
    const source = { type: 'nbd' as const, uri: server.uri() };
    try {
      if (named === null) await register({ ...source, bitmap: 'b0' });
      const changeId = `c${id++}`;
      const answer = await acceptBackup(fleet.accept, {
        vm_name: basename(path),
        repository_id: 'main',
        backup_type: type,
        disks: [
          {
            disk_id: 0,
            change_id: changeId,
            ...(named === null ? {} : { source: { ...source, bitmap: named } }),
            ...(since === undefined ? {} : { since_change_id: since }),
          },
        ],
        ...more,
      });
      const backupId = answer.disk_results[0]?.backup_id ?? '';
      const end = await fleet.ended(backupId);
      const row = await fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id: backupId });
      if (end.status === 'completed') {
        since = changeId;
        await expectHeld(row);
      }
      return row;
    } finally {
      await server.stop();
    }
  };
  const register = (source: DiskSource) =>
    registerVm(fleet.accept, {
      vm_name: basename(path),
      repository_id: 'main',
      disks: [{ disk_id: 0, source }],
    });
  const expectHeld = async (backup: BackupJob) => {
    const image = { type: 'file' as const, path: await imageOf(fleet, backup), format: 'qcow2' as const };
    const { identical, message } = await compareImages(image, { type: 'file', path, format: 'qcow2' });
    expect(identical, message).to.equal(true);
  };
  const compared = (reason: string | null) => ({
    status: 'completed',
    backupType: 'incremental',
    tracker: null,
    demotedReason: reason,
  });
  const believed = { status: 'completed', backupType: 'incremental', tracker: 'bitmap', demotedReason: null };

  it('copies what the bitmap names', async () => {
    await backUp('full');
    await write(18, MIB, MIB);
    expect(await backUp('incremental')).to.include({ ...believed, bytesTransferred: MIB });
  });

  for (const [spelling, way] of [
    ['the source of the request', { offered: null }],
    ['the source of the request, by another name than the server offers', { named: 'other' }],
    ['the registered source', { offered: null, named: null }],
  ] as const) {
    it(`does not fail, and misses nothing, where the bitmap named by ${spelling} is not there: it compares`, async () => {
      await backUp('full', way);
      await write(18, MIB, MIB);
      expect(await backUp('incremental', way)).to.include(compared('bitmap_missing'));
    });
  }

  it('never believes an inconsistent bitmap: QEMU does not serve it, and the disk served without it is compared', async () => {
    await backUp('full');
    // A writer that is killed while the bitmap is in use.
    const writer = await startQemuNbd(path, '-f', 'qcow2');
    try {
      await runTool('qemu-io', '-f', 'raw', '-c', `write -q -P 18 ${MIB} ${MIB}`, writer.uri());
    } finally {
      writer.child.kill('SIGKILL');
      await writer.stop();
    }
    const served = await startQemuNbd(path, '-r', '-f', 'qcow2', '-B', 'b0').then(async (server) => {
      await server.stop();
      return 'served';
    }, String);
    expect(served).to.match(/inconsistent/);
    expect(await backUp('incremental', { offered: null })).to.include(compared('bitmap_missing'));
  });

  it('fails with bitmap_missing, at once, where the request would rather have none than do without the bitmap', async () => {
    await backUp('full');
    const failed = await backUp('incremental', { offered: null, more: { on_broken_chain: 'fail' } });
    expect(failed).to.include({ status: 'failed', errorCode: 'bitmap_missing', attempts: 1 });
  });

  it('never leaves out what became zero while the disk was smaller, although the bitmap stays clean', async () => {
    await backUp('full');
    await resize(SIZE / 2);
    await resize(SIZE);
    // The guest goes on; the end of the disk is in the bitmap, and what the cut took is not.
    await write(18, SIZE - MIB, MIB);
    expect(await backUp('incremental')).to.include(compared('tracker_lied'));
  });

  it('never believes the bitmap of a disk that has grown', async () => {
    await backUp('full');
    await resize(SIZE + MIB);
    await write(18, SIZE, MIB);
    expect(await backUp('incremental')).to.include(compared('disk_resized'));
    await write(19, MIB, MIB);
    expect(await backUp('incremental')).to.include(believed);
  });

  it('never believes it of a disk that an attempt in between has seen smaller', async () => {
    await backUp('full');
    await resize(SIZE / 2);
    const failed = await backUp('incremental', { more: { on_broken_chain: 'fail' } });
    expect(failed).to.include({ status: 'failed', errorCode: 'chain_broken' });
    await resize(SIZE);
    expect(await backUp('incremental')).to.include(compared('disk_resized'));
    // What has seen the change is the new parent.
    expect(await backUp('incremental')).to.include(believed);
  });

  it('never believes it of a disk that was registered with another size in between', async () => {
    await backUp('full');
    const disk = { disk_id: 0, virtual_size: SIZE * 2 };
    await registerVm(fleet.accept, { vm_name: basename(path), repository_id: 'main', disks: [disk] });
    expect(await backUp('incremental')).to.include(compared('disk_resized'));
  });
});
