import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { acquireLease } from '../../../../src/db/job/acquire.js';
import { acceptBackup } from '../../../../src/producers/accept/index.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';

const LEASE_MS = 300;

describe('A job whose worker has died', () => {
  let fleet: TestFleet;
  before(async () => {
    fleet = await openFleet({ lease: { leaseMs: LEASE_MS, renewEveryMs: 100 } });
  });
  after(() => fleet.close());

  const waiting = async () => {
    const [queue] = fleet.queue.queues(['default']).filter(({ name }) => name === 'backup.default');
    const entries = (await queue?.getWaiting()) ?? [];
    return entries.map((entry) => String(entry.data.job_id));
  };

  it('comes before what waits in the queue, until workers have died at it again and again', async () => {
    const ids: string[] = [];
    for (const vm of ['a', 'b', 'c', 'd']) {
      const path = join(fleet.sources, `${vm}.raw`);
      await writeFile(path, Buffer.alloc(4096, vm));
      const disks = [{ disk_id: 0, source: { type: 'file', path, format: 'raw' } as const }];
      const body = { vm_name: vm, repository_id: 'main', backup_type: 'full', disks } as const;
      const { disk_results } = await acceptBackup(fleet.accept, { ...body, disks: [...disks] });
      ids.push(disk_results[0]?.backup_id ?? '');
    }
    const [first = '', second = ''] = ids;
    expect((await waiting())[0]).to.equal(first);
    for (const [death, place] of ['front', 'front', 'behind'].entries()) {
      const options = {
        kind: 'backup',
        jobId: second,
        delivery: death + 1,
        owner: 'dead',
        leaseMs: LEASE_MS,
      } as const;
      expect((await acquireLease(fleet.suite.ds, options)).outcome).to.equal('acquired');
      await fleet.sweep();
      await new Promise((resolve) => setTimeout(resolve, LEASE_MS + 100));
      await fleet.sweep();
      const entries = await waiting();
      // Entries of the deliveries before are still there, and do nothing.
      const at =
        place === 'behind' ? entries.lastIndexOf(second) === entries.length - 1 : entries[0] === second;
      expect(at, `death ${death}: ${entries.join(' ')}`).to.equal(true);
    }
  });
});
