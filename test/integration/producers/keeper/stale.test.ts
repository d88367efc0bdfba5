import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { acceptBackup, cancel } from '../../../../src/producers/accept/index.js';
import { openFleet, type TestFleet } from '../../../helpers/fleet.js';

const DAY_MS = 86_400_000;

describe('A queue entry that waits for a time far away, because a clock was ahead', () => {
  let fleet: TestFleet;
  before(async () => {
    fleet = await openFleet();
  });
  after(() => fleet.close());

  const accept = async (vm: string): Promise<string> => {
    const path = join(fleet.sources, `${vm}.raw`);
    await writeFile(path, Buffer.alloc(4096, vm));
    const source = { type: 'file', path, format: 'raw' } as const;
    const body = { vm_name: vm, repository_id: 'main', backup_type: 'full' } as const;
    const { disk_results } = await acceptBackup(fleet.accept, { ...body, disks: [{ disk_id: 0, source }] });
    return disk_results[0]?.backup_id ?? '';
  };
  const delayed = async () => {
    const [queue] = fleet.queue.queues(['default']).filter(({ name }) => name === 'backup.default');
    return ((await queue?.getDelayed()) ?? []).map((entry) => String(entry.data.job_id));
  };

  it('is removed when no job stands behind it any more, and only then', async () => {
    const [open, ended] = [await accept('a'), await accept('b')];
    for (const jobId of [open, ended]) {
      // The delivery of the job that is open counts; of the other, one that has been replaced.
      await fleet.suite.ds.query(
        `UPDATE backup_jobs SET delivery = 7, not_before = UTC_TIMESTAMP(3) + INTERVAL 1 MINUTE WHERE id = ?`,
        [jobId],
      );
      const delivery = {
        kind: 'backup',
        jobId,
        pool: 'default',
        delivery: 7,
        delayMs: DAY_MS,
        priority: 0,
      } as const;
      await fleet.queue.deliver(delivery);
    }
    await cancel(fleet.accept, ended);
    await fleet.sweep();
    expect(await delayed(), 'seen once').to.have.members([open, ended]);
    await fleet.sweep();
    expect(await delayed()).to.deep.equal([open]);
  });
});
