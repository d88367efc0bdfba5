import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { BackupJob } from '../../../../src/entities/index.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { linearChain, type MergeBench, openMergeBench } from '../../../helpers/mergeBench.js';
import { openSmallDisk, type SmallDisk } from '../../../helpers/mounts.js';
import { runTool } from '../../../helpers/runTool.js';

describe('A repository that has become read-only', function () {
  this.timeout(60_000);
  let folder: string;
  let disk: SmallDisk;
  let bench: MergeBench;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'strata-read-only-'));
    disk = await openSmallDisk(folder, 'disk', 128 * 1024 ** 2);
    bench = await openMergeBench(linearChain(2), disk.path);
  });
  after(async () => {
    await bench.close();
    await disk.remove();
    await rm(folder, { recursive: true, force: true });
  });

  it('lets a consolidation and a synthetic full wait, and no point is given up for it', async () => {
    const removal = await bench.add(bench.at(1), bench.at(2));
    const full = await bench.addFull();
    await runTool('mount', '-o', 'remount,ro', disk.path);
    expect(await codeOf(bench.attempt(removal))).to.equal('repository_unavailable');
    const completed = { chainId: bench.chain.chainId, status: 'completed' as const };
    expect(await bench.ds.getRepository(BackupJob).countBy(completed)).to.equal(3);
    await runTool('mount', '-o', 'remount,rw', disk.path);
    await bench.attempt(removal);
    await runTool('mount', '-o', 'remount,ro', disk.path);
    expect(await codeOf(bench.attemptFull(full))).to.equal('repository_unavailable');
    await runTool('mount', '-o', 'remount,rw', disk.path);
    await bench.attemptFull(full);
    await bench.expectDone([bench.at(3)], 'writable again');
  });
});
