import { expect } from 'chai';
import { mkdir, mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { claimPath } from '../../../../src/services/job/claimStorage.js';
import { endUnsuccessfully } from '../../../../src/db/job/settle.js';
import { attemptBackup } from '../../../helpers/backupService.js';
import { addBackup, addRestore, hold } from '../../../helpers/chainJobs.js';
import { buildChain, type ChainFixture, PLAIN_CHAIN } from '../../../helpers/chainFixture.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { type LoopDevice, openLoopDevice } from '../../../helpers/loopDevices.js';
import { isStrataError, type StrataError } from '../../../../src/shared/errors.js';
import { openBench, type RestoreBench } from './support.js';

const MIB = 1024 ** 2;

describe('files and devices that a restore writes', function () {
  this.timeout(120_000);
  let bench: RestoreBench;
  let other: ChainFixture;
  let device: LoopDevice;
  let sources: string;

  beforeEach(async () => {
    bench = await openBench(PLAIN_CHAIN);
    const directory = join(bench.suite.tempDir, 'other');
    await mkdir(directory);
    other = await buildChain(bench.ds, directory);
    sources = await mkdtemp(join(bench.suite.tempDir, 'src-'));
    device = await openLoopDevice(sources, 'disk.raw', 16 * MIB);
  });

  afterEach(async () => {
    await device.detach();
    await bench.close();
  });

  const failure = async (work: Promise<unknown>): Promise<StrataError> => {
    const error: unknown = await work.then(
      () => new Error('It did not fail.'),
      (reason: unknown) => reason,
    );
    if (isStrataError(error)) return error;
    throw error;
  };

  /** Runs a restore to the path, and something else in the middle of it. */
  const during = async <T>(path: string, work: () => Promise<T>): Promise<{ jobId: string; found: T }> => {
    const jobId = await bench.add({ path });
    let found: Promise<T> | undefined;
    await bench.attempt(jobId, {
      roots: ['/dev', bench.target],
      held: (held) => ({
        ...held,
        assertHeld: async () => {
          await held.assertHeld();
          await (found ??= work());
        },
      }),
    });
    if (!found) throw new Error('The restore has not come to its middle.');
    return { jobId, found: await found };
  };

  const addOther = (path: string) =>
    addRestore(bench.ds, other, { backupId: other.backups[0]?.id ?? '', path, format: 'raw' });

  it('are not backed up meanwhile, by their own path or by that of the file behind: the backup waits, and says for whom', async () => {
    const jobId = await addBackup(bench.ds, other, device.file);
    const { jobId: restoring, found } = await during(device.path, () =>
      failure(attemptBackup(bench.ds, jobId, sources)),
    );
    expect(found).to.include({ code: 'resource_busy', outcome: 'wait' });
    expect(found.message).to.equal(
      `The restore ${restoring} writes to ${device.file} now; this job waits for its end.`,
    );
    // Nothing has to be given back: the restore has ended.
    await attemptBackup(bench.ds, jobId, sources);
  });

  it('are not written by a second restore, which is refused before it writes, and told of the first', async () => {
    for (const path of [device.path, join(bench.target, 'x.raw')]) {
      const second = await addOther(path);
      const { jobId, found } = await during(path, () =>
        failure(bench.attempt(second, { roots: ['/dev', bench.target] })),
      );
      expect(found.code).to.equal('target_in_use');
      expect(found.message).to.contain(`The restore ${jobId} writes to ${path} now`);
      const content = await readFile(path);
      expect(content.subarray(0, 16 * MIB).equals(bench.at(4).content)).to.equal(true);
      const lease = (await hold(bench.ds, 'restore', second)).lease;
      await endUnsuccessfully(bench.ds, lease, 'failed', { code: 'target_in_use', detail: '' });
    }
  });

  it('are not taken while a backup reads them: the restore waits', async () => {
    const reading = await hold(bench.ds, 'backup', await addBackup(bench.ds, other, device.file));
    await claimPath(bench.ds, reading, device.file, 'read');
    const jobId = await bench.add({ path: device.path });
    const wish = { roots: ['/dev'] };
    const error = await failure(bench.attempt(jobId, wish));
    expect(error).to.include({ code: 'resource_busy', outcome: 'wait' });
    expect(error.message).to.contain(`The backup ${reading.lease.jobId} reads ${device.path} now`);
    // The backup's worker dies, and the keeper gives its chain to another.
    await bench.ds.query('UPDATE backup_chains SET fence = fence + 1 WHERE id = ?', [other.chainId]);
    expect(await bench.attempt(jobId, wish)).to.include({ verified: true });
  });

  it('stay claimed when an earlier attempt of the restore wakes up and claims them, too', async () => {
    const jobId = await bench.add({ path: device.path });
    const frozen = await hold(bench.ds, 'restore', jobId);
    const writing = await hold(bench.ds, 'restore', jobId);
    expect(writing.lease.fence).to.be.greaterThan(frozen.lease.fence);
    await claimPath(bench.ds, writing, device.path, 'write');
    await claimPath(bench.ds, frozen, device.path, 'write');
    const second = await hold(bench.ds, 'restore', await addOther(device.path));
    expect(await codeOf(claimPath(bench.ds, second, device.path, 'write'))).to.equal('target_in_use');
  });

  it('are read by many backups at a time', async () => {
    const first = await hold(bench.ds, 'backup', await addBackup(bench.ds, other, device.file));
    await claimPath(bench.ds, first, device.file, 'read');
    const second = await hold(bench.ds, 'backup', await addBackup(bench.ds, bench.chain, device.path));
    await claimPath(bench.ds, second, device.path, 'read');
  });

  it('are told apart as partitions of one disk', async () => {
    const [one = '', two = ''] = await device.addPartitions([MIB, 4 * MIB], [8 * MIB, 4 * MIB]);
    const reading = await hold(bench.ds, 'backup', await addBackup(bench.ds, other, one));
    const writing = await hold(bench.ds, 'restore', await bench.add({ path: two }));
    await claimPath(bench.ds, reading, one, 'read');
    await claimPath(bench.ds, writing, two, 'write');
    expect(await codeOf(claimPath(bench.ds, writing, one, 'write'))).to.equal('resource_busy');
    for (const whole of [device.path, device.file])
      expect(await codeOf(claimPath(bench.ds, writing, whole, 'write'))).to.equal('resource_busy');
  });

  it('belong to one of many that ask at the same moment', async () => {
    const chains = [bench.chain, other];
    for (let number = 0; number < 6; number++) {
      const directory = join(bench.suite.tempDir, `more-${number}`);
      await mkdir(directory);
      chains.push(await buildChain(bench.ds, directory, PLAIN_CHAIN.slice(0, 1)));
    }
    const leases = [];
    for (const chain of chains) {
      const wanted = { backupId: chain.backups[0]?.id ?? '', path: device.path, format: 'raw' } as const;
      leases.push(await hold(bench.ds, 'restore', await addRestore(bench.ds, chain, wanted)));
    }
    const codes = await Promise.all(
      leases.map((held) => codeOf(claimPath(bench.ds, held, device.path, 'write'))),
    );
    expect(codes.filter((code) => code === 'no error').length).to.equal(1);
    expect(codes.filter((code) => code === 'target_in_use').length).to.equal(chains.length - 1);
  });
});
