import type { BackupCreate } from '../../../../src/contract/index.js';
import { runTool } from '../../../helpers/runTool.js';
import { cp, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect } from 'chai';
import { acceptBackup, acceptRestore, acceptValidation } from '../../../../src/producers/accept/index.js';
import { cancelJob } from '../../../../src/db/job/settle.js';
import { BackupJob, MaintenanceJob } from '../../../../src/entities/index.js';
import { compareImages, convertImage } from '../../../../src/qcow2/index.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';
import { startQemuNbd } from '../../../helpers/nbdServers.js';
import { makeDisk, overwrite, writeAt } from '../../../helpers/disks.js';

const SIZE = 8 * 1024 * 1024;

describe('The main job', () => {
  let fleet: TestFleet;
  let disk: string;
  const body = (): BackupCreate => ({
    vm_name: 'web01',
    repository_id: 'main',
    backup_type: 'incremental',
    disks: [{ disk_id: 0, source: { type: 'file', path: disk, format: 'raw' } }],
  });
  const backup = async (changes: Partial<BackupCreate> = {}) => {
    const answer = await acceptBackup(fleet.accept, { ...body(), ...changes });
    const [result] = answer.disk_results;
    if (!result) throw new Error('no disk');
    const end = await fleet.ended(result.backup_id);
    return { ...result, end };
  };
  const row = (id: string) => fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });

  before(async () => {
    fleet = await openFleet();
    fleet.work();
    disk = join(fleet.sources, 'disk.raw');
    await makeDisk(disk, SIZE, [
      [0, 1024 * 1024],
      [3_000_000, 5000],
    ]);
  });
  after(() => fleet.close());

  let full: string;
  let increment: string;
  it('takes a full where an incremental has no parent, and says why in the answer', async () => {
    const first = await backup();
    expect(first).to.deep.include({ backup_type: 'full', demoted_reason: 'no_completed_full' });
    expect(first.end.status, first.end.error_detail ?? '').to.equal('completed');
    full = first.backup_id;
    expect(await row(full)).to.deep.include({
      backupType: 'full',
      demotedReason: 'no_completed_full',
      virtualSize: SIZE,
    });
  });

  it('refuses that instead where the request forbids a full, and accepts nothing', async () => {
    const count = () => fleet.suite.ds.getRepository(BackupJob).count();
    const before = await count();
    const code = await backup({ vm_name: 'fresh', on_broken_chain: 'fail' }).then(
      () => 'accepted',
      (error: { code: string }) => error.code,
    );
    expect(code).to.equal('chain_broken');
    expect(await count()).to.equal(before);
  });

  it('takes an increment that holds only what has changed', async () => {
    await writeAt(disk, 2_000_000, 100);
    const second = await backup();
    expect(second.end.status, second.end.error_detail ?? '').to.equal('completed');
    increment = second.backup_id;
    const found = await row(increment);
    expect(found).to.deep.include({ backupType: 'incremental', parentBackupId: full, demotedReason: null });
    expect(found.bytesTransferred).to.equal(65536);
    expect(found.contentId).not.to.equal((await row(full)).contentId);
  });

  it('leaves nothing in the directory but the images and their sidecars', async () => {
    const { repositoryPath } = await row(full);
    const names = await readdir(join(fleet.repositoryRoot, repositoryPath ?? '', '..'));
    expect(names).to.have.length(6);
    expect(names.filter((name) => name.startsWith('.'))).to.deep.equal([]);
  });

  it('restores the point, verified, byte for byte', async () => {
    const path = join(fleet.restores, 'restored.raw');
    const { restore_id } = await acceptRestore(fleet.accept, {
      backup_id: increment,
      target: { type: 'file', path },
      format: 'raw',
    });
    const end = await fleet.ended(restore_id);
    expect(end.status, end.error_detail ?? '').to.equal('completed');
    const { identical } = await compareImages(
      { type: 'file', path, format: 'raw' },
      { type: 'file', path: disk, format: 'raw' },
    );
    expect(identical).to.equal(true);
  });

  it('finds the chain healthy in a quick validation', async () => {
    const { chainId } = await row(full);
    const { job_id } = await acceptValidation(fleet.accept, { chainId, level: 'quick' });
    const end = await fleet.ended(job_id);
    expect(end.status, end.error_detail ?? '').to.equal('completed');
    const job = await fleet.suite.ds.getRepository(MaintenanceJob).findOneByOrFail({ id: job_id });
    expect(job.result, JSON.stringify(job.result)).to.include({ healthy: true });
  });

  it('can be restored with plain qemu-img from a copied directory', async () => {
    const copy = join(fleet.suite.tempDir, 'elsewhere');
    await cp(fleet.repositoryRoot, copy, { recursive: true });
    const { repositoryPath } = await row(increment);
    const out = join(fleet.suite.tempDir, 'plain.raw');
    await convertImage(
      { type: 'file', path: join(copy, repositoryPath ?? ''), format: 'qcow2' },
      { type: 'file', path: out, format: 'raw' },
      {},
    );
    const { identical } = await compareImages(
      { type: 'file', path: out, format: 'raw' },
      { type: 'file', path: disk, format: 'raw' },
    );
    expect(identical).to.equal(true);
  });

  it('grows with the disk', async () => {
    await writeAt(disk, SIZE, 70_000);
    const grown = await backup();
    expect(grown.end.error_code).to.equal('size_not_aligned');
    await makeDisk(disk, SIZE + 1024 * 1024, [[SIZE - 512, 4096]]);
    const second = await backup();
    expect(second.end.status, second.end.error_detail ?? '').to.equal('completed');
    expect(await row(second.backup_id)).to.deep.include({
      backupType: 'incremental',
      virtualSize: SIZE + 1024 * 1024,
    });
  });

  it('heals itself: an increment whose parent is lost or unreadable becomes a full, and says so', async () => {
    const harms: [string, (path: string) => Promise<unknown>][] = [
      ['.digests', (path) => rm(path)],
      ['.qcow2', (path) => rm(path)],
      ['.qcow2', (path) => overwrite(path, 0, Buffer.alloc(4096))],
      ['.digests', (path) => overwrite(path, 40, Buffer.alloc(8, 0xee))],
      ['.digests', (path) => rm(path).then(() => mkdir(path))],
      ['.qcow2', (path) => runTool('qemu-img', 'rebase', '-u', '-f', 'qcow2', '-b', '', path)],
    ];
    for (const [suffix, harm] of harms) {
      await writeAt(disk, 100_000, 10);
      const before = await backup();
      const { repositoryPath } = await row(before.backup_id);
      await harm(join(fleet.repositoryRoot, (repositoryPath ?? '').replace('.qcow2', suffix)));
      const after = await backup();
      expect(after.end.status, after.end.error_detail ?? '').to.equal('completed');
      expect(await row(after.backup_id), suffix).to.deep.include({
        backupType: 'full',
        demotedReason: 'parent_unreadable',
      });
    }
  });

  it('takes a full at once where somebody has locked the parent, or waits for whoever has, where a full is forbidden', async () => {
    await writeAt(disk, 200_000, 10);
    const before = await backup();
    const { repositoryPath } = await row(before.backup_id);
    const server = await startQemuNbd(join(fleet.repositoryRoot, repositoryPath ?? ''), '-f', 'qcow2');
    try {
      const { disk_results: asked } = await acceptBackup(fleet.accept, {
        ...body(),
        on_broken_chain: 'fail',
      });
      const waiting = asked[0]?.backup_id ?? '';
      while ((await row(waiting)).errorCode === null) await setTimeout(50);
      const { status, errorCode, errorDetail } = await row(waiting);
      expect({ status, errorCode }).to.deep.equal({
        status: 'released',
        errorCode: 'repository_file_in_use',
      });
      expect(errorDetail).to.contain(`locked by qemu-nbd (process ${server.child.pid})`);
      await cancelJob(fleet.suite.ds, 'backup', waiting);
      const after = await backup();
      expect(after.end.status, after.end.error_detail ?? '').to.equal('completed');
      expect(await row(after.backup_id)).to.deep.include({
        backupType: 'full',
        demotedReason: 'parent_in_use',
        attempts: 1,
      });
    } finally {
      await server.stop();
    }
  });

  it('puts nothing upon content that a restore has proved wrong', async () => {
    await writeAt(disk, 500_000, 300_000);
    const { backup_id } = await backup();
    const found = await row(backup_id);
    const image = join(fleet.repositoryRoot, found.repositoryPath ?? '');
    const { size } = await stat(image);
    await overwrite(image, size - 100, Buffer.from('rot'));
    const path = join(fleet.restores, 'rotten.raw');
    const { restore_id } = await acceptRestore(fleet.accept, {
      backup_id,
      target: { type: 'file', path },
      format: 'raw',
    });
    expect((await fleet.ended(restore_id)).error_code).to.equal('content_mismatch');
    const next = await backup();
    expect(await row(next.backup_id)).to.deep.include({
      backupType: 'full',
      demotedReason: 'parent_damaged',
    });
  });

  it('honours a cancellation that the attempt under way did not live to see', async () => {
    await fleet.stopWorking();
    const answer = await acceptBackup(fleet.accept, {
      vm_name: 'web01',
      repository_id: 'main',
      backup_type: 'auto',
      disks: [{ disk_id: 0, source: { type: 'file', path: disk, format: 'raw' } }],
    });
    const id = answer.disk_results[0]?.backup_id ?? '';
    await fleet.suite.ds.query('UPDATE backup_jobs SET cancel_requested = 1 WHERE id = ?', [id]);
    fleet.work();
    expect((await fleet.ended(id)).status).to.equal('cancelled');
  });
});
