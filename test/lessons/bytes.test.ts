import type { BackupDiskCreate } from '../../src/contract/index.js';
import { copyFile, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect } from 'chai';
import { acceptBackup } from '../../src/producers/accept/index.js';
import { BackupJob } from '../../src/entities/index.js';
import { compareImages } from '../../src/qcow2/index.js';
import { errnoOf } from '../../src/shared/errors.js';
import { BLOCK_SIZE } from '../../src/shared/extents.js';
import { overwrite, writeAt } from '../helpers/disks.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { type NbdServer, startNbdkit, startQemuNbd } from '../helpers/nbdServers.js';
import { useNbdServers } from '../helpers/nbdSuite.js';
import { runTool } from '../helpers/runTool.js';
import {
  createVmOfDisks,
  endedPoint,
  expectSame,
  imageOf,
  save,
  toldOf,
  type VmOfDisks,
} from '../helpers/vmOfDisks.js';

const MIB = 1024 * 1024;
const SIZE = 2 * MIB;

/** Stops a process; false where it has ended already. */
async function stopped(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 'SIGSTOP');
    for (;;) {
      // A process that is about to end takes the signal and ends all the same.
      const state = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /s, '').slice(0, 1);
      if (state === 'T') return true;
      if (state === 'Z' || state === 'X') return false;
      await setTimeout(5);
    }
  } catch (error) {
    if (['ESRCH', 'ENOENT'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}

describe('The bytes of a backup', () => {
  let fleet: TestFleet;
  const nbd = useNbdServers();
  before(async () => {
    fleet = await openFleet();
    fleet.work(4);
  });
  after(() => fleet.close());

  const vmOf = (name: string, sizeBytes = SIZE): Promise<VmOfDisks> =>
    createVmOfDisks(fleet, { name, ids: [0], sizeBytes });
  const served = async (server: Promise<NbdServer>) => {
    return { type: 'nbd' as const, uri: (await nbd.keep(server)).uri() };
  };
  const row = (id: string) => fleet.suite.ds.getRepository(BackupJob).findOneByOrFail({ id });
  /** Accepts a backup of disk 0 and does not wait for it. */
  const begin = async (vm: VmOfDisks, type: 'full' | 'incremental', facts: Partial<BackupDiskCreate>) => {
    const answer = await acceptBackup(fleet.accept, {
      vm_name: vm.name,
      repository_id: 'main',
      backup_type: type,
      disks: [{ disk_id: 0, source: vm.source(0), ...facts }],
    });
    const id = answer.disk_results[0]?.backup_id ?? '';
    await save(fleet, id, vm.path(0));
    return { id, ended: () => endedPoint(fleet, answer.restore_point_id, [id]) };
  };
  const filesOf = async (id: string) => {
    const { vmContextId } = await row(id);
    return readdir(join(fleet.repositoryRoot, vmContextId, 'disk-0')).catch((): string[] => []);
  };
  /** The QEMU tools that write an image of this backup's VM. */
  const writersOf = async (id: string): Promise<number[]> => {
    const { vmContextId } = await row(id);
    const lines = (await runTool('ps', '-eo', 'pid=,args=')).split('\n');
    const writes = (line: string) => line.includes(`${vmContextId}/`) && line.includes('.partial');
    return lines
      .filter((line) => /^\s*\d+ qemu-(nbd|img) /.test(line) && writes(line))
      .map((line) => Number.parseInt(line, 10));
  };

  it('lesson 1: a second full copies everything again, into a file that stands alone', async () => {
    const vm = await vmOf('one');
    const sources = [vm.source(0), await served(startQemuNbd(vm.path(0), '-r', '-f', 'raw'))];
    const alone = { type: 'file' as const, path: join(fleet.suite.tempDir, 'alone.qcow2') };
    for (const [n, source] of [...sources, ...sources].entries()) {
      await writeAt(vm.path(0), 900_000 + n * BLOCK_SIZE, 512);
      const full = await vm.backUp('full', [
        {
          disk_id: 0,
          source,
          change_id: `c${n}`,
          // What an upstream adds that always says what has changed.
          ...(n > 0 ? { since_change_id: `c${n - 1}`, changed_extents: [{ offset: 0, length: 512 }] } : {}),
        },
      ]);
      await expectSame(fleet, Object.values(full.backups));
      const [backup] = Object.values(full.backups);
      if (!backup) throw new Error('There is no backup.');
      expect(backup).to.include({ backupType: 'full', parentBackupId: null });
      expect(backup.bytesTransferred).to.be.at.least(300_000);
      await copyFile(await imageOf(fleet, backup), alone.path);
      const disk = { type: 'file' as const, path: vm.path(0), format: 'raw' as const };
      expect((await compareImages({ ...alone, format: 'qcow2' }, disk)).identical).to.equal(true);
    }
  });

  it('lesson 2: one byte in 32 MiB of zeros is not taken for zero, wherever it is and by whatever way', async () => {
    const size = 32 * MIB;
    const vm = await vmOf('two', size);
    const nbd = await served(startQemuNbd(vm.path(0), '-r', '-f', 'raw'));
    const list = [{ offset: 0, length: size }];
    const ways = [
      ['full', {}],
      ['incremental', { since_change_id: '0', changed_extents: list }],
      ['incremental', {}],
      ['full', { source: nbd }],
      ['incremental', { source: nbd, since_change_id: '3', changed_extents: list }],
    ] as const;
    for (const [n, [type, facts]] of ways.entries()) {
      // Zeros that are stored, so that they must be looked at.
      await overwrite(vm.path(0), 0, Buffer.alloc(size));
      await overwrite(vm.path(0), 21_234_567 + n * 2_222_221, Buffer.from([1]));
      const point = await vm.backUp(type, [{ disk_id: 0, change_id: String(n), ...facts }]);
      expect(toldOf(point)).to.deep.equal({ 0: type });
      await expectSame(fleet, Object.values(point.backups));
    }
  });

  it('lesson 8: a backup is not completed, and has no name, while its writer has not flushed and ended', async () => {
    const full = await vmOf('eight-full');
    const changed = await vmOf('eight-changes');
    await changed.backUp('full', [{ disk_id: 0, change_id: 'a' }]);
    await writeAt(changed.path(0), 0, 600_000);
    const slowly = (vm: VmOfDisks) =>
      served(startNbdkit('--filter=delay', 'file', vm.path(0), 'rdelay=700ms'));
    const list = { since_change_id: 'a', changed_extents: [{ offset: 0, length: 600_000 }] };
    const jobs = [
      await begin(full, 'full', { source: await slowly(full) }),
      await begin(changed, 'incremental', { source: await slowly(changed), ...list }),
    ];
    await Promise.all(
      jobs.map(async ({ id, ended }) => {
        let writer: number | undefined;
        // One that has just made the file may end before it is stopped: the next one writes.
        while (writer === undefined)
          for (const pid of await writersOf(id))
            if (writer === undefined && (await stopped(pid))) writer = pid;
        await fleet.accept.clock.sleep(2_500);
        expect((await row(id)).status).to.equal('running');
        const images = (await filesOf(id)).filter((name) => name.endsWith('.qcow2'));
        expect(images).to.have.length(id === jobs[0]?.id ? 0 : 1);
        process.kill(writer, 'SIGCONT');
        await expectSame(fleet, Object.values((await ended()).backups));
        expect(await writersOf(id)).to.deep.equal([]);
      }),
    );
  });

  it('lesson 18: no child is created on a parent that is still being written', async () => {
    const vm = await vmOf('eighteen');
    const source = await served(startNbdkit('--filter=delay', 'file', vm.path(0), 'rdelay=700ms'));
    const full = await begin(vm, 'full', { source, change_id: 'a' });
    const list = { since_change_id: 'a', changed_extents: [{ offset: 0, length: 512 }] };
    const children = [
      await begin(vm, 'incremental', { ...list, change_id: 'b' }),
      await begin(vm, 'incremental', {}),
    ];
    let looks = 0;
    while ((await row(full.id)).status !== 'completed') {
      const states = await Promise.all(children.map(async ({ id }) => (await row(id)).status));
      const images = (await filesOf(full.id)).filter((name) => name.includes('.qcow2'));
      // What was seen counts only if the full was still going on when all of it was.
      if ((await row(full.id)).status === 'completed') break;
      expect(states).to.deep.equal(['queued', 'queued']);
      expect(images.filter((name) => name.includes('incr'))).to.deep.equal([]);
      looks++;
    }
    expect(looks).to.be.greaterThan(3);
    const points = [await full.ended()];
    for (const child of children) points.push(await child.ended());
    const chain = points.flatMap(({ backups }) => Object.values(backups));
    expect(chain.map(({ backupType }) => backupType)).to.deep.equal(['full', 'incremental', 'incremental']);
    for (const [n, { parentBackupId, startedAt }] of chain.entries()) {
      expect(parentBackupId).to.equal(chain[n - 1]?.id ?? null);
      if (n > 0)
        expect(startedAt?.getTime()).to.be.at.least(chain[n - 1]?.completedAt?.getTime() ?? Infinity);
    }
    await expectSame(fleet, chain);
  });
});
