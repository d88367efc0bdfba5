import { rm } from 'node:fs/promises';
import { expect } from 'chai';
import { BackupJob } from '../../src/entities/index.js';
import { acceptRestore } from '../../src/producers/accept/index.js';
import { writeAt } from '../helpers/disks.js';
import { runTool } from '../helpers/runTool.js';
import { createVmOfDisks, type EndedPoint, expectSame, toldOf } from '../helpers/vmOfDisks.js';
import { openApi, type TestApi } from '../integration/producers/http/support.js';

const BLOCK = 65536;
const SIZE = 32 * BLOCK;
const IDS = [0, 1];

describe('A VM of two disks', () => {
  let api: TestApi;
  before(async () => {
    // Nothing is found by a sample: what is right here is so for certain.
    api = await openApi({ audit: { blocks: 0 } });
    api.fleet.work(4);
  });
  after(() => api.close());

  it('lesson 23: points that are removed from the middle, two at a time, leave every disk linked and whole', async () => {
    const vm = await createVmOfDisks(api.fleet, { name: 'middle', ids: IDS, sizeBytes: SIZE });
    const points: EndedPoint[] = [];
    for (let n = 0; n < 4; n++) {
      for (const id of IDS) await writeAt(vm.path(id), (n + id) * 3 * BLOCK, 2 * BLOCK);
      points.push(await vm.backUp(n === 0 ? 'full' : 'incremental'));
    }
    const removals = await Promise.all(
      [1, 2].map((n) => api.call('DELETE', `restore-points/${points[n]?.point.id}`)),
    );
    for (const { status, text, body } of removals) {
      expect(status, text).to.equal(202);
      for (const { job } of body.chains) {
        if (job) expect(await api.fleet.ended(job.job_id)).to.include({ status: 'completed' });
      }
    }
    const next = await vm.backUp('incremental');
    const kept = [points[0], points[3], next];
    for (const id of IDS) {
      const chain = kept.map((point) => point?.backups[id]?.id ?? '');
      const rows = await api.fleet.suite.ds
        .getRepository(BackupJob)
        .findBy({ chainId: next.backups[id]?.chainId ?? '', status: 'completed' });
      const found = Object.fromEntries(rows.map((row) => [row.id, row.parentBackupId]));
      expect(found, `disk ${id}`).to.deep.equal(
        Object.fromEntries(chain.map((backup, n) => [backup, chain[n - 1] ?? null])),
      );
      await expectSame(api.fleet, rows);
    }
  });

  it('lesson 42: one disk that is restored in place breaks no later backup, of it or of the other', async () => {
    const { fleet } = api;
    const vm = await createVmOfDisks(fleet, { name: 'in-place', ids: IDS, sizeBytes: SIZE });
    const device = (await runTool('losetup', '--find', '--show', vm.path(1))).trim();
    try {
      for (const roots of [fleet.services.restoreRoots, fleet.accept.settings.restoreRoots])
        roots.push('/dev', fleet.sources);
      for (const roots of [fleet.services.sourcePolicy.roots, fleet.accept.settings.sourceRoots])
        roots.push('/dev');
      const paths = [vm.path(0), device];
      const points: EndedPoint[] = [];
      /** Writes to these blocks of both disks, and backs up by a list that names them. */
      const backUp = async (blocks: number[], read: readonly string[] = paths) => {
        for (const path of paths) for (const block of blocks) await writeAt(path, block * BLOCK, 512);
        await runTool('sync', device);
        const n = points.length;
        const since = (id: number) => (n === 0 ? {} : { since_change_id: `${id}.${n - 1}` });
        const changed_extents = blocks.map((block) => ({ offset: block * BLOCK, length: 512 }));
        const disks = IDS.map((id) => ({
          disk_id: id,
          source: { type: 'file' as const, path: read[id] ?? '', format: 'raw' as const },
          change_id: `${id}.${n}`,
          ...since(id),
          changed_extents,
        }));
        points.push(await vm.backUp(n === 0 ? 'full' : 'incremental', disks));
        return toldOf(points[n] ?? expect.fail());
      };
      const restore = async (point: number, id: number) => {
        const { restore_id } = await acceptRestore(fleet.accept, {
          backup_id: points[point]?.backups[id]?.id ?? '',
          target: { type: 'file', path: paths[id] ?? '' },
          format: 'raw',
        });
        expect(await fleet.ended(restore_id)).to.include({ status: 'completed' });
      };
      expect(await backUp([1])).to.deep.equal({ 0: 'full', 1: 'full' });
      expect(await backUp([3, 4])).to.deep.equal({ 0: 'incremental', 1: 'incremental' });
      // No tracker names the blocks 3 and 4 for what the restore has made of them.
      await restore(0, 1);
      expect(await backUp([7])).to.deep.equal({ 0: 'incremental', 1: 'incremental disk_restored' });
      expect(await backUp([8])).to.deep.equal({ 0: 'incremental', 1: 'incremental' });
      await rm(vm.path(0));
      await restore(1, 0);
      expect(await backUp([9])).to.deep.equal({ 0: 'incremental disk_restored', 1: 'incremental' });
      expect(await backUp([10])).to.deep.equal({ 0: 'incremental', 1: 'incremental' });
      // The file behind the device is the same disk by another name.
      await restore(2, 1);
      expect(await backUp([11], [vm.path(0), vm.path(1)])).to.deep.equal({
        0: 'incremental',
        1: 'incremental disk_restored',
      });
      await expectSame(
        fleet,
        points.flatMap(({ backups }) => Object.values(backups)),
      );
    } finally {
      await runTool('losetup', '--detach', device);
    }
  });
});
