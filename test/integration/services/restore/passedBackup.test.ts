import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob, RestoreJob } from '../../../../src/entities/index.js';
import { acceptRestore } from '../../../../src/producers/accept/index.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';
import { passDelays } from '../../../helpers/keeping.js';
import { runTool } from '../../../helpers/runTool.js';
import { createTrackedVm, type Ledger } from '../../../helpers/trackedVm.js';

const MIB = 1024 * 1024;
/** More than any disk of a test machine has. */
const NO_ROOM = 2 ** 52;

describe('A restore to a device, behind a backup that waits for room', function () {
  this.timeout(60_000);
  let fleet: TestFleet;
  const ledger: Ledger = { accepted: [], points: [] };
  before(async () => {
    fleet = await openFleet();
    fleet.accept.settings.restoreRoots.push('/dev');
    fleet.services.restoreRoots.push('/dev');
    fleet.accept.settings.sourceRoots.push('/dev');
    fleet.services.sourcePolicy.roots.push('/dev');
    fleet.work();
  });
  after(() => fleet.close());

  it('does not overwrite what the backup is to save: it is done when the backup has ended', async () => {
    const { ds } = fleet.suite;
    const vm = await createTrackedVm(fleet, ledger, { name: 'vm', sizeBytes: MIB, pieces: [[0, MIB]] });
    const first = await vm.accept('full');
    await fleet.ended(first);
    const device = (await runTool('losetup', '--find', '--show', vm.disk)).trim();
    try {
      await vm.change(0, 4096);
      await ds.query('UPDATE repositories SET min_free_bytes = ?', [NO_ROOM]);
      const waiting = await vm.accept('changes', { source: { type: 'file', path: device, format: 'raw' } });
      const backup = () => ds.getRepository(BackupJob).findOneByOrFail({ id: waiting });
      while ((await backup()).errorCode !== 'no_space') await fleet.accept.clock.sleep(20);
      const target = { type: 'file' as const, path: device };
      const { restore_id } = await acceptRestore(fleet.accept, { backup_id: first, target, format: 'raw' });
      const restore = () => ds.getRepository(RestoreJob).findOneByOrFail({ id: restore_id });
      while ((await restore()).errorCode === null) await fleet.accept.clock.sleep(20);
      expect((await restore()).errorCode).to.equal('backup_goes_first');
      expect((await restore()).errorDetail).to.include(waiting);
      const saved = await readFile(ledger.points[1]?.saved ?? '');
      expect((await readFile(vm.disk)).equals(saved), 'the source is as it was').to.equal(true);
      await ds.query('UPDATE repositories SET min_free_bytes = 0');
      while ((await restore()).status !== 'completed') {
        await passDelays(fleet);
        await fleet.accept.clock.sleep(50);
      }
      const [backedUp, restored] = [await backup(), await restore()];
      expect(backedUp.status, backedUp.errorDetail ?? '').to.equal('completed');
      expect(backedUp.completedAt?.getTime()).to.be.at.most(restored.completedAt?.getTime() ?? 0);
      const target2 = { type: 'file' as const, path: join(fleet.restores, 'saved.raw') };
      const again = await acceptRestore(fleet.accept, { backup_id: waiting, target: target2, format: 'raw' });
      expect(await fleet.ended(again.restore_id)).to.include({ status: 'completed' });
      expect((await readFile(target2.path)).equals(saved), 'what was saved').to.equal(true);
    } finally {
      await runTool('losetup', '--detach', device);
    }
  });
});
