import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { BackupJob } from '../../src/entities/index.js';
import { overwrite } from '../helpers/disks.js';
import { openFleet, type TestFleet } from '../helpers/fleet.js';
import { expectInOrder } from '../helpers/inOrder/index.js';
import { startQemuNbd } from '../helpers/nbdServers.js';
import { createTrackedVm, type Ledger } from '../helpers/trackedVm.js';

describe('The check that all is in order', () => {
  let fleet: TestFleet;
  const ledger: Ledger = { accepted: [], points: [] };
  before(async () => {
    fleet = await openFleet();
    fleet.work();
  });
  after(() => fleet.close());

  it('finds nothing after a full and an increment, and every kind of disorder that is made', async () => {
    const vm = await createTrackedVm(fleet, ledger, {
      name: 'tidy',
      sizeBytes: 1024 * 1024,
      pieces: [[0, 9000]],
    });
    await fleet.ended(await vm.accept('full'));
    await vm.change(200_000, 9000);
    const second = await vm.accept('changes');
    const ends = await expectInOrder(fleet, ledger);
    expect([...ends.values()].map(({ status }) => status)).to.deep.equal(['completed', 'completed']);

    const { ds } = fleet.suite;
    const { repositoryPath, chainId } = await ds.getRepository(BackupJob).findOneByOrFail({ id: second });
    await writeFile(join(fleet.repositoryRoot, dirname(repositoryPath ?? ''), '.x.qcow2.1.partial'), '');
    await writeFile(join(fleet.services.scratchDir, 'x.sock'), '');
    await overwrite(ledger.points[0]?.saved ?? '', 700_000, Buffer.from('other'));
    await ds.query(
      `UPDATE backup_chains SET lease_owner = 'zombie', committed = committed - 1, latest_backup_id = full_backup_id`,
    );
    // The keeper leaves alone what Strata has not put there.
    const [queue] = fleet.queue.queues(['default']);
    await queue?.add('foreign', {}, { jobId: 'foreign', delay: 60_000 });
    const server = await startQemuNbd(vm.disk, '-r', '-f', 'raw');
    try {
      const found = await expectInOrder(fleet, ledger).catch((error: Error) => error.message);
      for (const problem of [
        '.x.qcow2.1.partial lies about',
        'x.sock is left',
        `${ledger.accepted[0]} (`,
        'Content mismatch',
        `zombie holds ${chainId}`,
        'committed fence',
        'latest is',
        'foreign as delayed',
        `process ${server.child.pid} is alive`,
      ])
        expect(found).to.include(problem);
    } finally {
      await server.stop();
    }
  });
});
