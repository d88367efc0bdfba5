import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RestoreJob } from '../../../../src/entities/index.js';
import { partialName } from '../../../../src/services/restore/plan.js';
import { StrataError } from '../../../../src/shared/errors.js';
import { codeOf } from '../../../helpers/codeOf.js';
import { names, openBench, type RestoreBench } from './support.js';

/** Steps at which an attempt is killed, in order: what the child prints. */
const STEPS = ['held', 'restoring', 'verifying', 'publishing', 'published'] as const;

describe('restore, interrupted,', function () {
  this.timeout(120_000);
  let bench: RestoreBench;
  let path: string;

  beforeEach(async () => {
    bench = await openBench();
    path = join(bench.target, 'disk.raw');
  });

  afterEach(() => bench.close());

  const expectRestored = async (jobId: string): Promise<void> => {
    const job = await bench.ds.getRepository(RestoreJob).findOneByOrFail({ id: jobId });
    expect(job.status).to.equal('completed');
    expect(job.result).to.include({ path, verified: true });
    expect((await readFile(path)).equals(bench.at(4).content)).to.equal(true);
    expect(await names(bench)).to.deep.equal(['disk.raw']);
  };

  /** An attempt in a process of its own, killed by SIGKILL when it says that it has come to the step. */
  const killAt = async (jobId: string, step: string): Promise<void> => {
    const program = fileURLToPath(new URL('attempt.js', import.meta.url));
    const { databaseSocketPath, databaseUser, databaseName, tempDir } = bench.suite;
    const args = [databaseSocketPath, databaseUser, databaseName, jobId, bench.target, tempDir, step];
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [, signal] = await once(child, 'exit');
    expect(signal, `the attempt was to be killed at ${step}`).to.equal('SIGKILL');
  };

  for (const step of STEPS) {
    it(`killed at the step "${step}", is completed by the next attempt and leaves nothing else`, async () => {
      const jobId = await bench.add({ path });
      await killAt(jobId, step);
      await bench.attempt(jobId, {});
      await expectRestored(jobId);
    });
  }

  it('killed between the two halves of the publishing, knows its file by both names', async () => {
    const jobId = await bench.add({ path });
    await killAt(jobId, 'published');
    const left = join(bench.target, partialName('disk.raw', jobId, 5));
    await rm(left, { recursive: true, force: true });
    await mkdir(left);
    await link(path, join(left, 'disk.raw'));
    await bench.attempt(jobId, {});
    await expectRestored(jobId);
  });

  it("does not take another's file for its own, though it has published one of that name before", async () => {
    const jobId = await bench.add({ path });
    await killAt(jobId, 'published');
    await rm(path);
    await writeFile(path, 'somebody else');
    expect(await codeOf(bench.attempt(jobId, {}))).to.equal('file_exists');
    expect(await readFile(path, 'utf8')).to.equal('somebody else');
  });

  it('removes what its own earlier attempts and ended jobs left, and nothing else of other jobs', async () => {
    const ended = await bench.add({ path });
    await bench.ds.getRepository(RestoreJob).update(ended, { status: 'cancelled' });
    const ofEnded = join(bench.target, partialName('disk.raw', ended, 1));
    const open = await bench.add({ path });
    const ofOpen = partialName('disk.raw', open, 1);
    await bench.ds.getRepository(RestoreJob).update(open, { status: 'queued' });
    const jobId = await bench.add({ path });
    await bench.ds.getRepository(RestoreJob).update(jobId, { status: 'released' });
    for (const directory of [ofEnded, join(bench.target, ofOpen)]) {
      await mkdir(directory);
      await writeFile(join(directory, 'disk.raw'), 'half');
    }
    const own = join(bench.target, partialName('disk.raw', jobId, 1));
    const other = partialName('disk.raw', 'rst_other', 1);
    await mkdir(own);
    await writeFile(join(own, 'disk.raw'), 'half');
    await mkdir(join(bench.target, other));
    await bench.attempt(jobId, {});
    expect(await readdir(bench.target)).to.have.members([other, ofOpen, 'disk.raw']);
    await bench.ds.getRepository(RestoreJob).update(open, { status: 'cancelled' });
  });

  it('that was frozen and wakes leaves the directory of the attempt that took over', async () => {
    const jobId = await bench.add({ path });
    const older = partialName('disk.raw', jobId, 1);
    const newer = partialName('disk.raw', jobId, 1_000_000);
    for (const name of [older, newer]) await mkdir(join(bench.target, name));
    await writeFile(join(bench.target, newer, 'disk.raw'), 'being written');
    await bench.attempt(jobId, {});
    expect(await readdir(bench.target)).to.have.members([newer, 'disk.raw']);
    expect(await readFile(join(bench.target, newer, 'disk.raw'), 'utf8')).to.equal('being written');
  });

  it('publishes nothing once the lease is lost', async () => {
    const jobId = await bench.add({ path });
    const lost = bench.attempt(jobId, {
      held: (held) => ({
        ...held,
        assertHeld: async () => {
          await bench.ds.query('UPDATE backup_chains SET fence = fence + 1 WHERE id = ?', [
            bench.chain.chainId,
          ]);
          await held.assertHeld();
        },
      }),
    });
    expect(await codeOf(lost)).to.equal('lease_lost');
    expect(await names(bench)).to.deep.equal([]);
  });

  it('stops within 2 s of an abort, with its reason, and leaves nothing', async () => {
    for (const when of ['restoring', 'verifying']) {
      const abort = new AbortController();
      let abortedAt = 0;
      const jobId = await bench.add({ path });
      const work = bench.attempt(jobId, {
        signal: abort.signal,
        report: ({ phase }) => {
          if (phase !== when || abortedAt > 0) return;
          abortedAt = performance.now();
          abort.abort(new StrataError('shutting_down', 'The worker stops.'));
        },
      });
      expect(await codeOf(work), when).to.equal('shutting_down');
      expect(performance.now() - abortedAt).to.be.lessThan(2000);
      expect(await names(bench)).to.deep.equal([]);
      await bench.attempt(jobId, {});
      await rm(path);
    }
  });
});
